// The order in which things happen.

function addTools() {
  toolbar.add({ id: "tool-home", label: "Show the whole map", icon: "home", onclick: () => camera.fit(null, 500) });
  toolbar.add({ id: "tool-in", label: "Zoom in", icon: "plus", onclick: () => camera.set({ zoom: camera.get().zoom + 1 }, 250) });
  toolbar.add({ id: "tool-out", label: "Zoom out", icon: "minus", onclick: () => camera.set({ zoom: camera.get().zoom - 1 }, 250) });
  const dark = toolbar.add({ id: "tool-dark", label: "Dark mode", icon: "moon", toggle: true, onclick: (pressed) => theme.set(pressed) });
  dark.setAttribute("aria-pressed", String(theme.isDark()));
  bus.on("theme", () => dark.setAttribute("aria-pressed", String(theme.isDark())));
  const names = toolbar.add({ id: "tool-labels", label: "Names of topics", icon: "labels", toggle: true, onclick: (pressed) => labels.toggle(pressed) });
  names.setAttribute("aria-pressed", "true");
  if (data.layers.some(({ clusters }) => clusters.some(({ outline }) => outline))) {
    const outlines = toolbar.add({ id: "tool-outlines", label: "Outlines of topics", icon: "outline", toggle: true, onclick: (pressed) => { scene.showsOutlines = pressed; drawScene(); } });
    outlines.setAttribute("aria-pressed", String(scene.showsOutlines));
  }
}

function showTitle() {
  byId("title").textContent = data.title;
  byId("sub-title").textContent = data.sub_title;
  const logo = data.logo;
  if (logo) byId("title-box").prepend(el("img", { id: "logo", src: logo, alt: "" }));
  byId("title-box").hidden = !data.title && !data.sub_title && !logo;
}

function showFilterState() {
  const state = byId("filter-state");
  const shown = filters.count();
  state.hidden = filters.names().length === 0;
  byId("filter-count").textContent = `${formatCount(shown)} of ${plural(data.n, "point")} shown`;
}

async function start() {
  await readMap();
  theme.set(data.options.darkmode);
  showTitle();
  await Promise.allSettled([...document.fonts].map((face) => face.load()));
  buildScene();
  labels.start();
  addTools();
  bus.on("filter", showFilterState);
  byId("filter-clear").addEventListener("click", () => {
    search.set(""); // ends one that is running
    filters.clear();
  });
  await readDetails();
  for (const part of [tooltip, search, topics, legend]) part.start();
  if (data.options.color_by) colors.by(data.options.color_by);
  byId("loading").remove();
  byId("map").dataset.ready = "true";
  window.visAssets.isReady = true;
  bus.emit("ready");
}

window.visAssets = { data, camera, filters, selection, colors, labels, theme, search, scene, highlight, bus, isReady: false };

start().catch((error) => {
  const box = byId("loading");
  if (box) {
    box.textContent = `This map could not be shown: ${error.message}`;
    box.setAttribute("role", "alert");
  }
  throw error;
});
