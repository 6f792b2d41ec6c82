// What every other part stands on: messages between parts, elements, blocks of data, files.

const PHONE_PX = 700;
const SVG = "http://www.w3.org/2000/svg";

const bus = (() => {
  const listeners = new Map();
  return {
    on(name, listener) {
      if (!listeners.has(name)) listeners.set(name, []);
      listeners.get(name).push(listener);
    },
    emit(name, detail = {}) {
      for (const listener of listeners.get(name) ?? []) listener(detail);
    },
  };
})();

const byId = (id) => document.getElementById(id);
const isPhone = () => byId("map").clientWidth < PHONE_PX;
const movesLittle = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Whether the page has no origin of its own: downloads, storage and the address are out of reach there. */
const inSandbox = window.origin === "null" && window.parent !== window;

/** An element. Texts only ever become text; nothing is parsed as HTML. */
function el(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null) continue;
    if (name === "text") element.textContent = value;
    else if (name === "class") element.className = value;
    else if (name === "on") for (const [event, action] of Object.entries(value)) element.addEventListener(event, action);
    else if (name === "aria") for (const [key, said] of Object.entries(value)) element.setAttribute(`aria-${key}`, said);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && name !== "list" && name !== "form") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A drawing of one path in a box of 24 x 24. */
function icon(path) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

let toldLast = 0;
/** Tell a screen reader. */
function announce(text) {
  toldLast += 1;
  const now = toldLast;
  byId("live").textContent = "";
  setTimeout(() => {
    if (now === toldLast) byId("live").textContent = text;
  }, 60);
}

/** Gather many calls into one, in the next frame. */
function oncePerFrame(action) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      action();
    });
  };
}

function debounce(action, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), milliseconds);
  };
}

/** Where a pointer is, in pixels from the corner of the map. */
function pointerPlace(event) {
  const box = byId("stage").getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

const formatCount = (count) => count.toLocaleString("en");
const plural = (count, one, many = `${one}s`) => `${formatCount(count)} ${count === 1 ? one : many}`;

/** A panel that folds, in a corner of the map; returns the element that holds its content. */
function panel(id, title, { corner = "top-right", open = true } = {}) {
  const body = el("div", { class: "panel-body" });
  const element = el("details", { id, class: "panel", open: open && !isPhone(), data: { opens: String(open) } }, el("summary", { text: title }), body);
  element.addEventListener("toggle", () => {
    if (element.open && isPhone()) closeOthers(element);
    bus.emit("panel", { id });
  });
  byId(`corner-${corner}`).append(element);
  return body;
}

/** Open the panels that are meant to be open at first, for a map that had no size until now. */
function openPanels() {
  for (const element of document.querySelectorAll("#map .panel")) element.open = element.dataset.opens === "true" && !isPhone();
}

/** On a phone there is room for one open panel. */
function closeOthers(kept) {
  for (const other of document.querySelectorAll("#map .panel[open]")) if (other !== kept) other.open = false;
}

const toolbar = {
  /** Add a button; a toggle is told whether it is pressed now. */
  add({ id, label, icon: path, toggle = false, onclick }) {
    const button = el("button", { id, type: "button", class: "tool", title: label, aria: { label } }, icon(ICONS[path] ?? path));
    if (toggle) button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      const pressed = toggle && button.getAttribute("aria-pressed") !== "true";
      if (toggle) button.setAttribute("aria-pressed", String(pressed));
      onclick(pressed);
    });
    byId("toolbar").append(button);
    return button;
  },
};

const ICONS = {
  home: "M3 11 12 3l9 8M6 9v11h12V9",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  moon: "M20 14A8 8 0 1 1 10 4a7 7 0 0 0 10 10Z",
  lasso: "M12 4c5 0 9 2.6 9 6s-4 6-9 6c-1.600 0-3-.2-4.300-.7M8 15a2.500 2.500 0 1 1-3.500 1.500M5 17c0 2 1 3 2 4M3 10c0-1.500.8-2.800 2-3.900",
  box: "M4 4h4M12 4h2M18 4h2v4M20 12v2M20 18v2h-4M12 20h-2M6 20H4v-4M4 12v-2",
  camera: "M4 8h3l2-3h6l2 3h3v11H4ZM12 10.500a3 3 0 1 0 0 6 3 3 0 0 0 0-6",
  help: "M9 9a3 3 0 1 1 4 2.800c-.7.3-1 .8-1 1.700M12 17h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18",
  info: "M12 11v6M12 7.500h.01M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18",
  map: "M3 6l6-2 6 2 6-2v14l-6 2-6-2-6 2ZM9 4v14M15 6v14",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  outline: "M6 4l12 2 2 9-8 6-8-5Z",
  labels: "M5 6h14M12 6v13M9 19h6",
};

/** Hand a file to the reader; a page in a sandbox gives it to the page around it. */
function download(name, mime, content) {
  const blob = content instanceof Blob ? content : new Blob([content], { type: mime });
  if (inSandbox) {
    handToParent(name, mime, content, blob);
    return;
  }
  const address = URL.createObjectURL(blob);
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function handToParent(name, mime, content, blob) {
  const message = { source: "vis-assets", version: 1, type: "export", name, mime };
  if (!(content instanceof Blob)) {
    window.parent.postMessage({ ...message, text: content }, "*");
    return;
  }
  const reader = new FileReader();
  reader.addEventListener("load", () => window.parent.postMessage({ ...message, dataUrl: reader.result }, "*"));
  reader.readAsDataURL(blob);
}

// ---- data -----------------------------------------------------------------------------------------------------------

/** Bytes of a block, unpacked: from inside the page, or from a file beside it. */
async function readBlock(name) {
  const element = byId(`block-${name}`);
  if (!element) return null;
  const file = element.dataset.file;
  const answer = file
    ? await fetch(file).catch(() => {
        throw new Error("its data could not be fetched: serve them beside the page over http, and to a sandboxed frame with Access-Control-Allow-Origin: *");
      })
    : await fetch(`data:application/octet-stream;base64,${element.textContent}`);
  if (!answer.ok) throw new Error(`the data of this map are missing: ${name}`);
  const unpacked = new Response(answer.body.pipeThrough(new DecompressionStream("gzip")));
  const bytes = await unpacked.arrayBuffer();
  element.remove();
  return bytes;
}

const decoder = new TextDecoder();

/** n texts in one buffer, one a line, each decoded when it is asked for. */
class Texts {
  constructor(buffer, count) {
    this.bytes = new Uint8Array(buffer);
    this.ends = new Uint32Array(count);
    let line = 0;
    for (let place = this.bytes.indexOf(10); place >= 0 && line < count; place = this.bytes.indexOf(10, place + 1)) {
      this.ends[line] = place;
      line += 1;
    }
    this.ends.fill(this.bytes.length, line);
    this.length = count;
  }

  at(row) {
    const start = row === 0 ? 0 : this.ends[row - 1] + 1;
    return decoder.decode(this.bytes.subarray(start, this.ends[row]));
  }

  /** The texts of rows first to last - 1. */
  slice(first, last) {
    const start = first === 0 ? 0 : this.ends[first - 1] + 1;
    return decoder.decode(this.bytes.subarray(start, this.ends[last - 1])).split("\n");
  }
}

const NO_TEXTS = { length: 0, at: () => "", slice: (first, last) => new Array(last - first).fill("") };

const data = {
  n: 0,
  positions: null,
  layers: [],
  strengths: null,
  fields: [],
  options: {},
  texts: NO_TEXTS,
  ids: NO_TEXTS,
  hasIds: false,
  text: (row) => data.texts.at(row),
  id: (row) => (data.hasIds ? data.ids.at(row) : String(row)),
  topic(row, layer = 0) {
    const label = data.layers[layer].labels[row];
    return label < 0 ? data.options.noise_label : data.layers[layer].clusters[label].name;
  },
};

/** Read what the first picture needs. */
async function readMap() {
  const meta = JSON.parse(new TextDecoder().decode(await readBlock("meta")));
  const { n, layers, fields, ...rest } = meta;
  Object.assign(data, rest, { n });
  data.positions = new Float32Array(await readBlock("positions"));
  const labels = new Int32Array(await readBlock("labels"));
  if (data.positions.length !== 2 * n || labels.length !== layers.length * n) {
    throw new Error("its data are of another version; open it again");
  }
  data.layers = layers.map((layer, index) => ({ ...layer, labels: labels.subarray(index * n, (index + 1) * n) }));
  data.fields = fields;
}

/** Read the rest: strengths, fields, ids and texts. */
async function readDetails() {
  const strengths = await readBlock("strengths");
  if (strengths) data.strengths = new Uint8Array(strengths);
  for (const [index, field] of data.fields.entries()) {
    const buffer = await readBlock(`field-${index}`);
    field.values = FIELD_READERS[field.kind](buffer);
  }
  const ids = await readBlock("ids");
  if (ids) [data.ids, data.hasIds] = [new Texts(ids, data.n), true];
  const texts = await readBlock("texts");
  if (texts) data.texts = new Texts(texts, data.n);
}

const FIELD_READERS = {
  category: (buffer) => new Int32Array(buffer),
  number: (buffer) => new Float64Array(buffer),
  date: (buffer) => new Float64Array(buffer),
  text: (buffer) => new Texts(buffer, data.n),
};

/** What a field says about a point, for people; empty where it says nothing. */
function fieldText(field, row) {
  if (field.kind === "text") return field.values.at(row);
  const value = field.values[row];
  if (field.kind === "category") return value < 0 ? "" : field.categories[value];
  if (Number.isNaN(value)) return "";
  return field.kind === "date" ? formatDate(value) : String(Number(value.toPrecision(12)));
}

function formatDate(milliseconds) {
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return "";
  const text = date.toISOString();
  return text.endsWith("T00:00:00.000Z") ? text.slice(0, text.indexOf("T", 1)) : text.replace("T", " ").slice(0, -8);
}
