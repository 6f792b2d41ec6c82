// The interface for an application that shows this page in a frame: docs/page-api.md describes every message.
// Only the window around this one is heard. Until it has said something valid, it is told nothing.

/** Why a message was refused; its text goes back to the sender. */
class Refusal extends Error {
  constructor(text, details = {}) {
    super(text);
    this.details = details;
  }
}

/** Checks of what a message holds. Each returns the value, or refuses it. */
const demand = (() => {
  const MOST_CHARACTERS = 1_000;
  const MOST_LISTED = 10;

  const isText = (value) => typeof value === "string" && value.length <= MOST_CHARACTERS;

  function text(value, name) {
    if (!isText(value)) throw new Refusal(`${name} must be a text of at most ${MOST_CHARACTERS} characters`);
    return value;
  }

  function list(value, name, most) {
    if (!Array.isArray(value) || value.length > most) throw new Refusal(`${name} must be a list of at most ${most} items`);
    return value;
  }

  function number(value, name) {
    if (typeof value !== "number" || !Number.isFinite(value)) throw new Refusal(`${name} must be a finite number`);
    return value;
  }

  function refuseUnknown(unknown, what) {
    if (unknown.length === 0) return;
    const shown = unknown.slice(0, MOST_LISTED).map((one) => String(one).slice(0, 60)).join(", ");
    const rest = unknown.length > MOST_LISTED ? ` and ${unknown.length - MOST_LISTED} more` : "";
    throw new Refusal(`unknown ${what}: ${shown}${rest}; send partial: true to leave them out`, { unknown: unknown.slice(0, 100) });
  }

  return { isText, text, list, number, refuseUnknown };
})();

/** From what a message names to rows of the map. */
const targets = (() => {
  const MOST_TOPICS = 10_000;

  function ofIds(ids, isPartial) {
    const unknown = [];
    const rows = [];
    for (const id of demand.list(ids, "ids", data.n)) {
      const row = demand.isText(id) || Number.isSafeInteger(id) ? places.rowOf(String(id)) : -1;
      if (row < 0) unknown.push(id);
      else rows.push(row);
    }
    if (!isPartial) demand.refuseUnknown(unknown, "ids");
    return rows;
  }

  function ofRows(given, isPartial) {
    const isRow = (row) => Number.isInteger(row) && row >= 0 && row < data.n;
    const rows = demand.list(given, "rows", data.n);
    if (!isPartial) demand.refuseUnknown(rows.filter((row) => !isRow(row)), "rows");
    return rows.filter(isRow);
  }

  /** A topic is its name (in any layer), its number in the finest layer, or {layer, topic}. */
  function findTopic(given) {
    if (demand.isText(given)) return places.topicsNamed(given);
    const { layer, topic } = typeof given === "number" ? { layer: 0, topic: given } : (given ?? {});
    const isKnown = Number.isInteger(layer) && Number.isInteger(topic) && data.layers[layer]?.clusters[topic] !== undefined;
    return isKnown ? [{ layer, label: topic }] : [];
  }

  function topicsOf(given, isPartial) {
    const found = demand.list(given, "topics", MOST_TOPICS).map(findTopic);
    const unknown = given.filter((_, place) => found[place].length === 0);
    if (!isPartial) demand.refuseUnknown(unknown.map((one) => (typeof one === "object" ? JSON.stringify(one) : one)), "topics");
    return found.flat();
  }

  function ofTopics(given, isPartial) {
    const wanted = data.layers.map(({ clusters }) => new Uint8Array(clusters.length));
    for (const { layer, label } of topicsOf(given, isPartial)) wanted[layer][label] = 1;
    const layers = data.layers.filter((_, layer) => wanted[layer].includes(1));
    const rows = [];
    for (let row = 0; row < data.n; row++) {
      if (layers.some((layer) => wanted[data.layers.indexOf(layer)][layer.labels[row]] === 1)) rows.push(row);
    }
    return rows;
  }

  const READERS = { ids: ofIds, rows: ofRows, topics: ofTopics };

  /** Rows that ids, rows and topics of a message name together, each once, in order; null where it names none of the three. */
  function rowsOf(message) {
    const named = Object.keys(READERS).filter((name) => message[name] !== undefined && message[name] !== null);
    if (named.length === 0) return null;
    const found = new Set();
    for (const name of named) for (const row of READERS[name](message[name], message.partial === true)) found.add(row);
    return Int32Array.from(found).sort();
  }

  return { rowsOf, topicsOf };
})();

/** From a field and values or a range to the points that have them. */
const fieldFilters = (() => {
  const MOST_VALUES = 10_000;

  function fieldNamed(name) {
    const field = data.fields.find((one) => one.name === demand.text(name, "field"));
    if (!field) throw new Refusal(`this map has no field ${name.slice(0, 60)}; it has ${data.fields.map((one) => one.name).join(", ") || "none"}`);
    return field;
  }

  function end(value, field, otherwise) {
    if (value === null || value === undefined) return otherwise;
    const number = field.kind === "date" && demand.isText(value) ? Date.parse(value) : value;
    if (typeof number !== "number" || Number.isNaN(number)) throw new Refusal("range must be [from, to]: numbers, for dates also ISO 8601 texts, null for an open end");
    return number;
  }

  function rangeTest(field, range) {
    if (!["number", "date"].includes(field.kind)) throw new Refusal(`field ${field.name} is no number or date; send values instead of range`);
    if (demand.list(range, "range", 2).length !== 2) throw new Refusal("range must be [from, to]");
    const [low, high] = [end(range[0], field, -Infinity), end(range[1], field, Infinity)];
    return (row) => field.values[row] >= low && field.values[row] <= high;
  }

  function valueTest(field, values) {
    const wanted = new Set(demand.list(values, "values", MOST_VALUES));
    if (field.kind === "text") return (row) => wanted.has(field.values.at(row));
    if (field.kind !== "category") return (row) => wanted.has(field.values[row]);
    const isWanted = field.categories.map((category) => wanted.has(category));
    const takesMissing = wanted.has(null);
    return (row) => (field.values[row] < 0 ? takesMissing : isWanted[field.values[row]]);
  }

  /** The mask of a message {field, values | range}; null where it takes the filter of this field away. */
  function maskOf(message) {
    const field = fieldNamed(message.field);
    if (!message.values && !message.range) return null;
    const test = message.range ? rangeTest(field, message.range) : valueTest(field, message.values);
    const mask = new Uint8Array(data.n);
    for (let row = 0; row < data.n; row++) mask[row] = test(row) ? 1 : 0;
    return mask;
  }

  return { maskOf };
})();

/** What the page tells of itself. Texts only where they were asked for. */
const reports = (() => {
  const MOST_ROWS = 100_000;
  const MOST_TEXTS = 1_000;
  const MOST_TOPICS = 10_000;

  function points(rows, withTexts) {
    const told = Array.from(rows.subarray(0, MOST_ROWS));
    return {
      count: rows.length,
      rows: told,
      ids: told.map((row) => data.id(row)),
      truncated: rows.length > MOST_ROWS,
      ...(withTexts ? { texts: told.slice(0, MOST_TEXTS).map((row) => data.text(row)) } : {}),
    };
  }

  const point = (row) => (row < 0 ? { row: null, id: null } : { row, id: data.id(row) });

  function view() {
    const [width, height] = camera.size();
    const [[left, bottom], [right, top]] = [camera.unproject([0, height]), camera.unproject([width, 0])];
    return { ...camera.get(), box: [left, bottom, right, top] };
  }

  const filter = () => ({ shown: filters.count(), points: data.n, filters: filters.names() });
  const color = () => ({ field: colors.current(), choices: colors.choices() });

  function topicList() {
    return data.layers
      .flatMap(({ clusters }, layer) => clusters.map(({ name, size, parent }, topic) => ({ layer, topic, name, size, parent })))
      .slice(0, MOST_TOPICS);
  }

  function summary() {
    return {
      points: data.n,
      hasIds: data.hasIds,
      layers: data.layers.map(({ clusters }) => clusters.length),
      fields: data.fields.map(({ name, kind }) => ({ name, kind })),
      ready: true,
    };
  }

  function state(withTexts) {
    return {
      ...summary(),
      title: data.title ?? "",
      topics: topicList(),
      dark: theme.isDark(),
      view: view(),
      filter: filter(),
      color: color(),
      selection: points(selection.get(), withTexts),
    };
  }

  return { points, point, view, filter, color, summary, state };
})();

/** What each message does, and the type and content of the answer. */
const commands = (() => {
  const API = "api";

  function flyTo(message) {
    if (message.zoom !== undefined) demand.number(message.zoom, "zoom");
    const rows = targets.rowsOf(message);
    if (rows === null) camera.fit(null, FLIGHT_MS);
    else if (rows.length === 1) links.show(rows[0], message.zoom);
    else places.flyToRows(rows);
    return ["view", reports.view()];
  }

  function setFilter(message) {
    if (message.field !== undefined && message.field !== null) {
      filters.set(`${API}:${message.field}`, fieldFilters.maskOf(message));
      return ["filter", reports.filter()];
    }
    const rows = targets.rowsOf(message);
    if (rows === null) for (const name of filters.names()) if (name === API || name.startsWith(`${API}:`)) filters.set(name, null);
    if (rows !== null) filters.set(API, maskOfRows(rows));
    return ["filter", reports.filter()];
  }

  function colorBy(message) {
    const field = demand.text(message.field, "field");
    if (!colors.by(field)) throw new Refusal(`points cannot be coloured by ${field.slice(0, 60)}; choose one of ${colors.choices().join(", ")}`);
    return ["color", reports.color()];
  }

  function select(message) {
    const rows = targets.rowsOf(message);
    selection.set(rows, API);
    return ["selection", { cause: API, ...reports.points(selection.get(), message.texts === true) }];
  }

  return {
    select,
    highlight(message) {
      const rows = targets.rowsOf(message);
      highlight.set(rows);
      return ["state", { highlighted: rows?.length ?? 0 }];
    },
    filter: setFilter,
    colorBy,
    flyTo,
    async search(message) {
      const found = await search.set(demand.text(message.query, "query"), API);
      if (found === null) throw new Refusal("this search was superseded by another one");
      return ["state", { found, filter: reports.filter() }];
    },
    theme(message) {
      if (typeof message.dark !== "boolean") throw new Refusal("dark must be true or false");
      theme.set(message.dark);
      return ["state", { dark: theme.isDark() }];
    },
    getState: (message) => ["state", reports.state(message.texts === true)],
  };
})();

const messages = (() => {
  const MOST_WAITING = 100;
  const [HOVER_MS, VIEW_MS] = [50, 100];
  const around = window.parent === window ? null : window.parent;
  const waiting = [];
  let isReady = false;
  let listener = null; // origin of the window around, once it has said something valid
  let isAnswering = false; // what a command changes is told in its answer, not again

  /** The target for postMessage; an origin that is opaque can only be reached as any. */
  const targetOf = (origin) => (origin === "null" || origin === "" ? "*" : origin);

  function post(receiver, origin, type, content) {
    receiver.postMessage({ source: "vis-assets", version: 1, type, ...content }, targetOf(origin));
  }

  function tell(type, content) {
    if (listener !== null && !isAnswering) post(around, listener, type, content);
  }

  function requestIdOf(message) {
    const { requestId } = message;
    const isFine = (typeof requestId === "string" && requestId.length <= 64) || Number.isFinite(requestId);
    return isFine ? { requestId } : {};
  }

  async function answer(event) {
    const reply = (type, content) => post(event.source, event.origin, type, { ...content, ...requestIdOf(event.data) });
    try {
      const [type, content] = await run(event.data);
      hear(event);
      reply(type, content);
    } catch (error) {
      const isRefused = error instanceof Refusal;
      reply("error", { message: isRefused ? error.message : "the page could not do this", ...(isRefused ? error.details : {}) });
      if (!isRefused) throw error;
    }
  }

  function run(message) {
    if (typeof message.type !== "string" || !Object.hasOwn(commands, message.type)) throw new Refusal(`unknown type; send one of ${Object.keys(commands).join(", ")}`);
    isAnswering = true;
    try {
      return commands[message.type](message);
    } finally {
      isAnswering = false;
    }
  }

  /** From now on the window around is told what happens. */
  function hear(event) {
    if (event.source !== around || listener !== null) return;
    listener = event.origin;
    tell("ready", reports.summary());
  }

  function isForUs(event) {
    const { data: message, source } = event;
    return (source === around || source === window) && typeof message === "object" && message !== null && message.target === "vis-assets";
  }

  function receive(event) {
    if (!isForUs(event)) return;
    if (isReady) answer(event);
    else if (waiting.length < MOST_WAITING) waiting.push(event);
  }

  /** At most one call in so many milliseconds, the last one always. */
  function throttle(action, milliseconds) {
    let last = null;
    let timer = null;
    const go = () => {
      timer = null;
      action(...last);
    };
    return (...given) => {
      last = given;
      timer ??= setTimeout(go, milliseconds);
    };
  }

  function follow() {
    bus.on("hover", throttle(({ index }) => tell("hover", reports.point(index)), HOVER_MS));
    bus.on("view", throttle(() => tell("view", reports.view()), VIEW_MS));
    bus.on("click", ({ index, shift }) => tell("click", { ...reports.point(index), shift: shift === true }));
    bus.on("selection", ({ indices, source }) => listener !== null && tell("selection", { cause: source, ...reports.points(indices, false) }));
    bus.on("filter", ({ cause }) => listener !== null && cause !== "api" && tell("filter", reports.filter()));
    bus.on("color", () => tell("color", reports.color()));
  }

  function start() {
    isReady = true;
    follow();
    for (const event of waiting.splice(0)) answer(event);
  }

  window.addEventListener("message", receive);
  return { start };
})();

bus.on("ready", messages.start);
