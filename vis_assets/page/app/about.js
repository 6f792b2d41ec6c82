// What this page is, what it leaves out, and whose work is inside it.

const about = (() => {
  function facts() {
    const { version, generated_from: origin } = data.about ?? {};
    const topicCounts = data.layers.map(({ clusters }) => clusters.filter(({ size }) => size > 0).length);
    return [
      ["Made by", version ? `vis_assets ${version}` : "vis_assets"],
      ["Made from", origin],
      ["Points", formatCount(data.n)],
      ["Topics", topicCounts.length === 1 ? formatCount(topicCounts[0]) : `${topicCounts.map(formatCount).join(", ")} (from fine to coarse)`],
      ["Fields", data.fields.map(({ name }) => name).join(", ")],
    ].filter(([, said]) => said);
  }

  function licenceItem({ name, version, licence, text }) {
    const line = [name, version, licence].filter(Boolean).join(" · ");
    if (!text) return el("li", { text: line });
    return el("li", {}, el("details", {}, el("summary", { text: line }), el("pre", { text })));
  }

  function section(title, ...content) {
    return el("section", {}, el("h3", { text: title }), ...content);
  }

  function content() {
    const rows = facts().map(([name, said]) => el("div", { class: "fact" }, el("dt", { text: name }), el("dd", { text: said, dir: "auto" })));
    const notes = (data.notes ?? []).map((note) => el("li", { text: note, dir: "auto" }));
    const licences = (data.about?.licences ?? []).map(licenceItem);
    return [
      el("dl", { class: "facts" }, ...rows),
      notes.length > 0 ? section("What was left out", el("ul", { class: "notes" }, ...notes)) : null,
      section("Privacy", el("p", { text: "This page tells no server what you do in it. An application that shows it in a frame can ask it what it shows." })),
      licences.length > 0 ? section("Software and fonts in this page", el("ul", { class: "licences" }, ...licences)) : null,
    ].filter(Boolean);
  }

  function build() {
    const dialog = buildDialog("about", "About this map", ...content());
    toolbar.add({ id: "tool-about", label: "About this map", icon: "info", onclick: () => dialog.showModal() });
  }

  return { build };
})();

bus.on("ready", about.build);
