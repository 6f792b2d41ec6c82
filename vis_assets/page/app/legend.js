// What the colours mean, and the choice of what they show. A category can be switched off and on.

const legend = (() => {
  const MOST_LISTED = 30;
  let body = null;
  let hidden = new Set();

  const BUILT_IN = new Map([["cluster", "Topic"], ["strength", "Membership strength"]]);
  const labelOf = (name) => BUILT_IN.get(name) ?? name;

  function chooser() {
    const select = el("select", { id: "color-by", aria: { label: "Colour points by" }, on: { change: () => colors.by(select.value) } });
    select.append(...colors.choices().map((name) => el("option", { value: name, text: labelOf(name), selected: name === colors.current() })));
    return el("label", { class: "choice" }, el("span", { text: "Colour by" }), select);
  }

  function swatchButton(text, color, code, count) {
    const mark = el("i", { class: "swatch" });
    mark.style.background = cssColor(color);
    const button = el("button", { type: "button", class: "category", dir: "auto", data: { code }, aria: { pressed: String(!hidden.has(code)) }, on: { click: () => toggle(code) } }, mark, el("span", { class: "name", text }), el("span", { class: "count", text: formatCount(count) }));
    return el("li", {}, button);
  }

  function toggle(code) {
    if (hidden.has(code)) hidden.delete(code);
    else hidden.add(code);
    applyMask();
    draw();
    body.querySelector(`[data-code="${code}"]`).focus(); // the button that was pressed has been made anew
  }

  function codesOf(name) {
    if (name === "cluster") return data.layers[0].labels;
    return data.fields.find((field) => field.name === name).values;
  }

  function applyMask() {
    if (hidden.size === 0) {
      filters.set("legend", null);
      return;
    }
    const codes = codesOf(colors.current());
    const mask = new Uint8Array(data.n);
    for (let row = 0; row < data.n; row++) mask[row] = hidden.has(codes[row]) ? 0 : 1;
    filters.set("legend", mask);
  }

  function categoryList(field) {
    const counts = new Uint32Array(field.categories.length + 1);
    for (let row = 0; row < data.n; row++) counts[field.values[row] + 1]++;
    const items = field.categories.slice(0, MOST_LISTED).map((text, code) => swatchButton(text, colors.ofCategory(code), code, counts[code + 1]));
    const more = field.categories.length - MOST_LISTED;
    if (more > 0) items.push(el("li", { class: "note", text: `and ${formatCount(more)} more` }));
    if (counts[0] > 0) items.push(swatchButton("(missing)", MISSING_COLOR, -1, counts[0]));
    return el("ul", { class: "categories" }, ...items);
  }

  function rampBar(format) {
    const { low, high } = colors.scale() ?? { low: 0, high: 1 };
    const bar = el("div", { class: "ramp", role: "img", aria: { label: `from ${format(low)} to ${format(high)}` } });
    bar.style.background = `linear-gradient(to right, ${STOPS.map((stop) => cssColor(stop)).join(",")})`;
    return el("div", {}, bar, el("div", { class: "ramp-ends" }, el("span", { text: format(low) }), el("span", { text: format(high) })));
  }

  function noiseEntry() {
    const count = data.layers[0].labels.reduce((sum, label) => sum + (label < 0 ? 1 : 0), 0);
    const name = data.options.noise_label;
    return count > 0 && name ? el("ul", { id: "noise-legend", class: "categories" }, swatchButton(name, data.noise_rgb, -1, count)) : null;
  }

  function content() {
    const name = colors.current();
    if (name === "cluster") return noiseEntry();
    if (name === "strength") return rampBar((value) => value.toFixed(1));
    const field = data.fields.find((one) => one.name === name);
    if (field.kind === "category") return categoryList(field);
    return rampBar(field.kind === "date" ? (value) => formatDate(value).slice(0, 10) : formatEnd);
  }

  /** Whole numbers that may be years stay as they are. */
  function formatEnd(value) {
    const isPlain = Number.isInteger(value) && Math.abs(value) < 10_000;
    return isPlain ? String(value) : value.toLocaleString("en", { maximumSignificantDigits: 4 });
  }

  function draw() {
    body.replaceChildren(...[colors.choices().length > 1 ? chooser() : null, content()].filter(Boolean));
    byId("legend").hidden = body.childElementCount === 0;
  }

  return {
    start() {
      body = panel("legend", "Colours", { corner: "bottom-left" });
      bus.on("filter", ({ name }) => {
        if (name !== null || hidden.size === 0) return;
        hidden = new Set();
        draw();
      });
      bus.on("color", () => {
        hidden = new Set();
        filters.set("legend", null);
        draw();
      });
      draw();
    },
  };
})();
