// What is said about the point, or the name, under the pointer.

const tooltip = (() => {
  const AWAY_PX = 14;
  let box = null;
  let shown = -1; // the row that it tells of; -1 for a name

  function place([left, top]) {
    const [width, height] = camera.size();
    const [wide, high] = [box.offsetWidth, box.offsetHeight];
    const x = left + AWAY_PX + wide <= width ? left + AWAY_PX : Math.max(4, left - AWAY_PX - wide);
    const y = top + AWAY_PX + high <= height ? top + AWAY_PX : Math.max(4, top - AWAY_PX - high);
    box.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
  }

  function fieldRows(row) {
    return data.fields
      .map((field) => [field.name, fieldText(field, row)])
      .filter(([, said]) => said !== "")
      .map(([name, said]) => el("div", { class: "row" }, el("dt", { text: name }), el("dd", { text: said, dir: "auto" })));
  }

  function swatch(row) {
    const mark = el("i", { class: "swatch" });
    mark.style.background = cssColor(colors.painter()(row));
    return mark;
  }

  function describePoint(row) {
    const topic = data.topic(row);
    const text = data.text(row);
    const names = data.layers.slice(1).map((_, index) => data.topic(row, index + 1));
    const coarser = [...new Set(names)].filter((name) => name && name !== topic);
    return [
      topic || coarser.length > 0 ? el("p", { class: "topic" }, swatch(row), el("b", { text: topic || "—", dir: "auto" })) : null,
      coarser.length > 0 ? el("p", { class: "path", text: coarser.join(" · "), dir: "auto" }) : null,
      text ? el("p", { class: "text", text, dir: "auto" }) : el("p", { class: "text none", text: data.hasIds ? `point ${data.id(row)} has no text` : "no text" }),
      data.fields.length > 0 ? el("dl", {}, ...fieldRows(row)) : null,
    ];
  }

  function describeLabel({ cluster }) {
    return [
      el("p", { class: "topic" }, el("b", { text: cluster.name, dir: "auto" })),
      el("p", { class: "path", text: `${plural(cluster.size, "point")}, ${((100 * cluster.size) / data.n).toFixed(1)} %` }),
      cluster.keyphrases.length > 0 ? el("p", { class: "text", text: cluster.keyphrases.join(", "), dir: "auto" }) : null,
    ];
  }

  const placeOf = (row) => camera.project([data.positions[2 * row], data.positions[2 * row + 1]]);

  function show(parts, at, row = -1) {
    shown = row;
    box.replaceChildren(...parts.filter((part) => part !== null));
    box.hidden = false;
    place(at);
  }

  return {
    start() {
      box = byId("tooltip");
      bus.on("hover", ({ index }) => {
        if (index < 0) box.hidden = true;
        else show(describePoint(index), scene.pointer ?? placeOf(index), index);
      });
      bus.on("label", ({ label, at }) => {
        if (label === null) box.hidden = hovered < 0;
        else if (hovered < 0) show(describeLabel(label), at);
      });
      bus.on("view", () => {
        if (shown < 0) box.hidden = true;
        else if (!box.hidden) place(placeOf(shown));
      });
    },
    /** Show what is known of a point at its place. */
    showPoint: (row) => show(describePoint(row), placeOf(row), row),
    hide() {
      box.hidden = true;
    },
  };
})();
