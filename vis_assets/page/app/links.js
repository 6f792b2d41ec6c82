// Links to a point, a topic or a view: `#point=ID`, `#topic=NAME`, `#x=1&y=2`, each with `&zoom=`.

const links = (() => {
  const ARRIVAL_MS = 60;
  const NEAR_PX = 3;
  const MOST_CHARACTERS = 2_000;
  let current = -1; // the row that the address names
  let awaited = -1; // the row that is told about once it is in the middle
  let hasArrived = false;
  let fallback = null;

  const tell = debounce(() => awaited >= 0 && tooltip.showPoint(awaited), ARRIVAL_MS);

  /** Tell about the point that was flown to while it is in the middle, until the view is moved away. */
  function followView() {
    if (awaited < 0) return;
    const [width, height] = camera.size();
    const [left, top] = camera.project([data.positions[2 * awaited], data.positions[2 * awaited + 1]]);
    const isThere = Math.hypot(left - width / 2, top - height / 2) < NEAR_PX;
    if (isThere) {
      hasArrived = true;
      tell();
    } else if (hasArrived) awaited = -1;
  }

  /** Fly to a point, ring it and tell about it. */
  function show(row, zoom) {
    current = row;
    awaited = row;
    hasArrived = false;
    highlight.set(Int32Array.of(row));
    if (zoom === undefined) camera.flyTo(row, FLIGHT_MS);
    else camera.set({ target: [data.positions[2 * row], data.positions[2 * row + 1]], zoom }, FLIGHT_MS);
    followView();
    announce(`${data.topic(row)} ${data.text(row)}`.trim().slice(0, 300));
  }

  function numberIn(query, name) {
    const number = Number.parseFloat(query.get(name) ?? "");
    return Number.isFinite(number) ? number : undefined;
  }

  /** Go where the address points to; what is unknown is told, not an error. */
  function follow() {
    const query = new URLSearchParams(location.hash.slice(1, MOST_CHARACTERS));
    const zoom = numberIn(query, "zoom");
    if (query.has("point")) followPoint(query.get("point"), zoom);
    else if (query.has("topic")) followTopic(query.get("topic"));
    else goTo(numberIn(query, "x"), numberIn(query, "y"), zoom);
  }

  function followPoint(id, zoom) {
    const row = places.rowOf(id);
    if (row < 0) announce("The point of this link is not on this map.");
    else show(row, zoom);
  }

  function followTopic(name) {
    const [found] = places.topicsNamed(name);
    if (found) places.flyToTopic(found.layer, found.label);
    else announce("The topic of this link is not on this map.");
  }

  function goTo(x, y, zoom) {
    if (x !== undefined && y !== undefined) camera.set({ target: [x, y], zoom: zoom ?? camera.get().zoom }, FLIGHT_MS);
  }

  /** What names the point shown, else the view. */
  function fragment() {
    const { target, zoom } = camera.get();
    const query = current >= 0
      ? { point: data.id(current) }
      : { x: target[0].toFixed(3), y: target[1].toFixed(3) };
    return `#${new URLSearchParams({ ...query, zoom: zoom.toFixed(2) })}`;
  }

  /** Keep the address of the page in step, where a page may: not in a sandbox, not too often. */
  function writeAddress(hash) {
    try {
      history.replaceState(null, "", hash);
    } catch (error) {
      if (error.name !== "SecurityError") throw error;
    }
  }

  /** Whether the only ring is the one around the point of the link. */
  function isRingOurs() {
    const rings = highlight.get();
    return current >= 0 && rings.length === 1 && rings[0] === current;
  }

  /** Let the address, and the ring if there is one, follow a click. */
  function nameClicked(row) {
    if (isRingOurs()) highlight.set(Int32Array.of(row));
    current = row;
    writeAddress(`#${new URLSearchParams({ point: data.id(row) })}`);
  }

  /** A frame may use the clipboard only where the page around it says so; to try anyway is an error in the console. */
  function mayUseClipboard() {
    if (!navigator.clipboard) return false;
    return window.parent === window || document.featurePolicy?.allowsFeature("clipboard-write") === true;
  }

  /** Put a link to what is shown on the clipboard, or show it to be copied by hand. */
  async function copy() {
    const address = location.href.split("#")[0] + fragment();
    if (!mayUseClipboard()) {
      offer(address);
      return;
    }
    try {
      await navigator.clipboard.writeText(address);
      announce("Link copied");
      flash("Link copied");
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;
      offer(address); // no leave to use it
    }
  }

  function offer(address) {
    const input = fallback.querySelector("input");
    input.value = address;
    fallback.showModal();
    input.select();
  }

  function flash(text) {
    const note = el("div", { class: "flash", text, aria: { hidden: "true" } });
    byId("map").append(note);
    setTimeout(() => note.remove(), 1_600);
  }

  function build() {
    fallback = buildDialog("link-dialog", "Link to this view",
      el("label", { class: "link-line" }, "Copy this address:", el("input", { type: "text", readOnly: true, dir: "ltr", aria: { label: "Address to copy" } })),
    );
    toolbar.add({ id: "tool-link", label: "Copy link", icon: "link", onclick: copy });
    bus.on("click", ({ index }) => {
      if (index >= 0) nameClicked(index);
      else forget();
    });
    bus.on("view", followView);
    bus.on("hover", ({ index }) => {
      if (index >= 0) awaited = -1;
    });
    window.addEventListener("hashchange", follow);
    follow();
  }

  /** No point is named any more. */
  function forget() {
    if (current < 0) return;
    awaited = -1;
    if (isRingOurs()) selectionPanel.ring();
    current = -1;
    if (location.hash !== "") writeAddress(`${location.pathname}${location.search}`);
  }

  return { build, show, forget, copy };
})();

bus.on("ready", links.build);
