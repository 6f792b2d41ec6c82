// How a date or number is spread, and the choice of a range of it: a histogram with a brush and two sliders.

/** Where the bins of a histogram begin and end, and what they are called. */
const binning = (() => {
  const WANTED = 40;
  const MOST = 100;
  const TAIL_FACTOR = 4; // a range this many times as wide as its middle 98 % gets open ends
  const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 86_400_000];
  const WEEK = 7 * DAY;
  const MONDAY = 4 * DAY; // 1970 began on a Thursday
  const FIXED = [1, SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, WEEK];
  const MONTHS = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1_200, 2_400, 6_000, 12_000];
  const MONTH = 30.436875 * DAY;

  const pad = (number, width = 2) => String(number).padStart(width, "0");

  /** The range to show: all values, or the middle ones where a few lie far away. */
  function rangeOf(values) {
    let [least, most] = [Infinity, -Infinity];
    const step = Math.max(1, Math.floor(values.length / 50_000));
    const sample = [];
    for (let row = 0; row < values.length; row++) {
      const value = values[row];
      if (!Number.isFinite(value)) continue;
      if (value < least) least = value;
      if (value > most) most = value;
      if (row % step === 0) sample.push(value);
    }
    if (least > most) return null;
    const sorted = Float64Array.from(sample).sort();
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
    const [low, high] = sorted.length === 0 ? [least, most] : [at(0.01), at(0.99)];
    const hasTails = high > low && most - least > TAIL_FACTOR * (high - low);
    return { least, most, low: hasTails ? low : least, high: hasTails ? high : most };
  }

  /** The step whose bins come nearest to the number wanted. */
  function nearestStep(steps, span) {
    const miss = (step) => Math.abs(Math.log(Math.max(span / step, 1e-9) / WANTED));
    return steps.reduce((best, step) => (miss(step) < miss(best) ? step : best));
  }

  function fill(first, high, next) {
    const edges = [first];
    while (edges.length <= MOST && edges.at(-1) <= high) edges.push(next(edges.length));
    return Float64Array.from(edges);
  }

  function numberEdges(values, { low, high }) {
    let areWhole = true;
    for (let row = 0; row < values.length && areWhole; row++) areWhole = Number.isNaN(values[row]) || Number.isInteger(values[row]);
    const power = 10 ** Math.floor(Math.log10(Math.max((high - low) / WANTED, Number.MIN_VALUE)));
    const fine = high > low ? nearestStep([1, 2, 5, 10].map((part) => part * power), high - low) : 1;
    const step = areWhole ? Math.max(1, fine) : fine;
    const start = Math.floor(low / step);
    return { edges: fill(start * step, high, (count) => (start + count) * step), isWhole: areWhole && step === 1, step };
  }

  function monthStart(month) {
    const date = new Date(0);
    date.setUTCFullYear(Math.floor(month / 12), ((month % 12) + 12) % 12, 1);
    return date.getTime();
  }

  function dateEdges({ low, high }) {
    const steps = [...FIXED.map((span) => ({ span })), ...MONTHS.map((months) => ({ span: months * MONTH, months }))];
    const span = nearestStep(steps.map((one) => one.span), high - low || WANTED * DAY);
    const { months } = steps.find((one) => one.span === span);
    if (months === undefined) {
      const offset = span === WEEK ? MONDAY : 0;
      const start = Math.floor((low - offset) / span);
      return { edges: fill(start * span + offset, high, (count) => (start + count) * span + offset), span };
    }
    const date = new Date(low);
    const start = Math.floor((date.getUTCFullYear() * 12 + date.getUTCMonth()) / months);
    return { edges: fill(monthStart(start * months), high, (count) => monthStart((start + count) * months)), span };
  }

  /** Edges of about 40 bins; of a single one where the values are too close together, or too far apart, to be told. */
  function edgesOf(field, range) {
    const { low, high } = range;
    const found = field.kind === "date" ? dateEdges(range) : numberEdges(field.values, range);
    const { edges } = found;
    const isSound = edges.length > 1 && edges.every((edge, place) => Number.isFinite(edge) && (place === 0 || edge > edges[place - 1]));
    return isSound ? found : { ...found, edges: Float64Array.of(low, high), isWhole: false, step: (high - low) / WANTED };
  }

  /** A moment, as exact as the bins are wide. */
  function dateName(milliseconds, span) {
    const date = new Date(milliseconds);
    if (Number.isNaN(date.getTime())) return "…";
    const year = date.getUTCFullYear();
    const parts = [year < 0 ? `-${pad(-year, 4)}` : pad(year, 4)];
    if (span < 11 * MONTH) parts.push(pad(date.getUTCMonth() + 1));
    if (span < MONTH) parts.push(pad(date.getUTCDate()));
    const day = parts.join("-");
    if (span >= DAY) return day;
    const time = `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}`;
    return span < MINUTE ? `${day} ${time}:${pad(date.getUTCSeconds())}` : `${day} ${time}`;
  }

  /** Bin of each value, 255 where there is none; values beyond the ends belong to the outer bins. */
  function codesOf(values, edges) {
    const codes = new Uint8Array(values.length).fill(255);
    const last = edges.length - 2;
    for (let row = 0; row < values.length; row++) {
      const value = values[row];
      if (!Number.isFinite(value)) continue;
      let [low, high] = [0, last];
      while (low < high) {
        const middle = (low + high + 1) >> 1;
        if (edges[middle] <= value) low = middle;
        else high = middle - 1;
      }
      codes[row] = low;
    }
    return codes;
  }

  /**
   * Sort a field's values into about 40 bins, or null where it has none.
   * @returns {{count, codes: Uint8Array, startName(place): string, endName(place): string}}
   */
  function bin(field) {
    const range = rangeOf(field.values);
    if (range === null) return null;
    const isDate = field.kind === "date";
    const { edges, span, step, isWhole } = edgesOf(field, range);
    const count = edges.length - 1;
    const digits = step >= 1e-12 ? Math.max(0, -Math.floor(Math.log10(step))) : 12;
    // no thousands separators: years are numbers too
    const tellNumber = (value) => (Math.abs(value) < 1e15 && step >= 1e-9 ? value.toFixed(digits) : String(Number(value.toPrecision(6))));
    const tell = isDate ? (value) => dateName(value, span) : tellNumber;
    const tellEnd = (value) => {
      if (isDate) return dateName(value - 1, span);
      return isWhole ? tell(value - 1) : tell(value);
    };
    return {
      count,
      codes: codesOf(field.values, edges),
      startName: (place) => (place === 0 && range.least < edges[0] ? tell(range.least) : tell(edges[place])),
      endName: (place) => (place === count - 1 && range.most >= edges[count] ? tell(range.most) : tellEnd(edges[place + 1])),
    };
  }

  return { bin };
})();

const timeline = (() => {
  const FILTER = "timeline";
  const [WIDTH, HEIGHT] = [256, 72];
  const LIVE_POINTS = 200_000; // above this the map follows when the drag has ended
  const bins = new Map(); // by field
  let parts = null;
  let field = null;
  let own = null; // bins of the field
  let range = null; // [first, last] bin, or null for all
  let keepsMissing = false;

  const usable = () => data.fields.filter((one) => ["date", "number"].includes(one.kind) && one.values);

  function svgNode(tag, attributes) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
    return node;
  }

  /** Points by bin, of those that a test lets pass; the missing ones last. */
  function countBins(passes) {
    const counts = new Uint32Array(256);
    for (let row = 0; row < data.n; row++) if (passes === null || passes(row)) counts[own.codes[row]]++;
    return counts;
  }

  const isChosen = (place) => range === null || (place >= range[0] && place <= range[1]);

  function addBar(place, count, most, kind) {
    if (count === 0) return;
    const wide = WIDTH / own.count;
    const high = Math.max(1.5, (HEIGHT * count) / most);
    const gap = wide > 4 ? 1 : 0;
    parts.bars.append(svgNode("rect", { class: kind, x: place * wide, y: HEIGHT - high, width: wide - gap, height: high }));
  }

  function draw() {
    const all = countBins(null);
    const passing = countBins(filters.without(FILTER));
    const most = Math.max(1, ...all.subarray(0, own.count));
    parts.bars.replaceChildren();
    for (let place = 0; place < own.count; place++) {
      addBar(place, all[place], most, "bin-all");
      if (isChosen(place)) addBar(place, passing[place], most, "bin-bright");
    }
    drawBrush();
    tellCounts(all, passing);
  }

  function drawBrush() {
    const [first, last] = range ?? [0, own.count - 1];
    const wide = WIDTH / own.count;
    parts.brush.setAttribute("x", String(first * wide));
    parts.brush.setAttribute("width", String((last - first + 1) * wide));
    parts.brush.setAttribute("visibility", range === null ? "hidden" : "visible");
    parts.from.value = String(first);
    parts.to.value = String(last);
    parts.from.setAttribute("aria-valuetext", own.startName(first));
    parts.to.setAttribute("aria-valuetext", own.endName(last));
    parts.range.textContent = rangeName();
    parts.reset.disabled = range === null;
  }

  function rangeName() {
    const [first, last] = range ?? [0, own.count - 1];
    const [start, end] = [own.startName(first), own.endName(last)];
    return start === end ? start : `${start} – ${end}`;
  }

  function tellCounts(all, passing) {
    const missing = all[255];
    const sum = (counts) => counts.reduce((total, count, place) => (place < own.count && isChosen(place) ? total + count : total), 0);
    const chosen = plural(sum(all), "point");
    const bright = formatCount(sum(passing));
    parts.count.textContent = filters.without(FILTER) === null ? chosen : `${chosen}, ${bright} of them pass the other filters`;
    parts.missing.hidden = missing === 0;
    parts.missingText.textContent = `Keep ${plural(missing, "point")} without a value`;
  }

  function apply() {
    if (range === null) {
      filters.set(FILTER, null);
      return;
    }
    const pass = new Uint8Array(256);
    pass.fill(1, range[0], range[1] + 1);
    pass[255] = keepsMissing ? 1 : 0;
    filters.set(FILTER, own.codes.map((code) => pass[code]));
  }

  /** Choose bins first to last; all of them is no choice. */
  function choose(first, last) {
    const [low, high] = first <= last ? [first, last] : [last, first];
    range = low <= 0 && high >= own.count - 1 ? null : [Math.max(0, low), Math.min(own.count - 1, high)];
  }

  const applySoon = oncePerFrame(() => own && apply());

  function chooseField(name) {
    filters.set(FILTER, null);
    field = usable().find((one) => one.name === name);
    if (!bins.has(field)) bins.set(field, binning.bin(field));
    own = bins.get(field);
    range = null;
    for (const slider of [parts.from, parts.to]) slider.max = String(own.count - 1);
    parts.svg.setAttribute("aria-label", `Histogram of ${field.name}`);
    draw();
  }

  function binAt(event) {
    const box = parts.svg.getBoundingClientRect();
    return Math.max(0, Math.min(own.count - 1, Math.floor(((event.clientX - box.left) / box.width) * own.count)));
  }

  /** Draw a new range, or move the one that was pressed. */
  function followDrag() {
    let drag = null; // {anchor, moved, from: range at its begin}
    parts.svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const anchor = binAt(event);
      parts.svg.setPointerCapture(event.pointerId);
      drag = { anchor, hasMoved: false, from: range !== null && isChosen(anchor) ? range : null };
    });
    parts.svg.addEventListener("pointermove", (event) => {
      if (drag === null) return;
      const here = binAt(event);
      if (here === drag.anchor && !drag.hasMoved) return;
      drag.hasMoved = true;
      if (drag.from) moveRange(drag.from, here - drag.anchor);
      else choose(drag.anchor, here);
      if (data.n <= LIVE_POINTS) applySoon();
      else drawBrush();
    });
    parts.svg.addEventListener("pointerup", () => {
      if (drag === null) return;
      if (!drag.hasMoved) choose(drag.anchor, drag.anchor);
      drag = null;
      finish();
    });
    parts.svg.addEventListener("pointercancel", () => {
      if (drag?.hasMoved) finish();
      drag = null;
    });
  }

  function moveRange([first, last], by) {
    const held = Math.max(-first, Math.min(own.count - 1 - last, by));
    choose(first + held, last + held);
  }

  function finish() {
    apply();
    draw();
    announce(`${field.name}: ${rangeName()}, ${parts.count.textContent}`);
  }

  const finishSoon = debounce(finish, 120);

  function slider(label, onMove) {
    const input = el("input", { type: "range", min: "0", step: "1", class: "slider", aria: { label } });
    input.addEventListener("input", () => {
      onMove();
      drawBrush();
      finishSoon();
    });
    return input;
  }

  function moveEnd(isStart) {
    let [first, last] = [Number(parts.from.value), Number(parts.to.value)];
    if (first > last && isStart) last = first;
    if (first > last) first = last;
    choose(first, last);
  }

  function reset() {
    range = null;
    apply();
    draw();
  }

  function buildParts() {
    const svg = svgNode("svg", { class: "histogram", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    const bars = svgNode("g", {});
    const brush = svgNode("rect", { class: "brush", x: 0, y: 0, width: 0, height: HEIGHT, visibility: "hidden" });
    svg.append(bars, brush);
    const missingText = el("span");
    const box = el("input", { type: "checkbox" });
    box.addEventListener("change", () => {
      keepsMissing = box.checked;
      finish();
    });
    return {
      svg,
      bars,
      brush,
      missingText,
      missing: el("label", { class: "choice missing", hidden: true }, box, missingText),
      range: el("output", { class: "range-name" }),
      count: el("p", { id: "timeline-count", class: "note" }),
      from: slider("From", () => moveEnd(true)),
      to: slider("To", () => moveEnd(false)),
      reset: el("button", { type: "button", class: "plain", id: "timeline-reset", text: "Reset", disabled: true, on: { click: reset } }),
    };
  }

  function fieldSelect(names) {
    const select = el("select", { id: "timeline-field", aria: { label: "Field of the histogram" }, on: { change: () => chooseField(select.value) } });
    select.append(...names.map((name) => el("option", { value: name, text: name })));
    return el("label", { class: "choice" }, el("span", { text: "Field" }), select);
  }

  function build() {
    const fields = usable().filter((one) => one.values.some((value) => Number.isFinite(value)));
    if (fields.length === 0) return;
    fields.sort((one, other) => (other.kind === "date") - (one.kind === "date"));
    const body = panel("timeline", "Histogram", { corner: "bottom-left", open: fields[0].kind === "date" });
    parts = buildParts();
    body.append(
      fieldSelect(fields.map(({ name }) => name)),
      parts.svg,
      el("div", { class: "ends" }, el("label", {}, "From", parts.from), el("label", {}, "To", parts.to)),
      el("div", { class: "range-line" }, parts.range, parts.reset),
      parts.count,
      parts.missing,
    );
    followDrag();
    chooseField(fields[0].name);
    bus.on("filter", drawAfterFilter);
  }

  /** Another part has changed its filter, or cleared all of them. */
  const drawAfterFilter = oncePerFrame(() => {
    if (range !== null && !filters.names().includes(FILTER)) range = null;
    draw();
  });

  return { build };
})();

bus.on("ready", timeline.build);
