// Search in texts, topics and payload fields; what does not match fades.

const search = (() => {
  const ROWS_AT_ONCE = 20_000;
  const PAUSE_MS = 180;
  let input = null;
  let asked = 0;

  const normal = (text) => text.normalize("NFKC").toLocaleLowerCase();

  /** For each layer, whether the name of a cluster matches. */
  function topicMatches(words) {
    return data.layers.map(({ clusters }) => clusters.map(({ name, keyphrases }) => {
      const said = normal(`${name} ${keyphrases.join(" ")}`);
      return words.every((word) => said.includes(word));
    }));
  }

  function fieldMatcher(words) {
    const whole = words.join(" ");
    return data.fields.map((field) => {
      if (field.kind === "category") {
        const hits = field.categories.map((category) => normal(category).includes(whole));
        return (row) => field.values[row] >= 0 && hits[field.values[row]];
      }
      if (field.kind === "text") return (row) => normal(field.values.at(row)).includes(whole);
      return (row) => fieldText(field, row) === whole;
    });
  }

  /** 1 for each point that holds all words; works in slices, so that the page stays alive; null where given up. */
  async function findRows(query) {
    asked += 1;
    const own = asked;
    const words = normal(query).split(/\s+/).filter(Boolean);
    const inTopic = topicMatches(words);
    const inFields = fieldMatcher(words);
    const mask = new Uint8Array(data.n);
    for (let first = 0; first < data.n; first += ROWS_AT_ONCE) {
      const last = Math.min(data.n, first + ROWS_AT_ONCE);
      data.texts.slice(first, last).forEach((text, offset) => {
        const row = first + offset;
        const said = normal(text);
        const isHit = words.every((word) => said.includes(word))
          || inTopic.some((hits, layer) => data.layers[layer].labels[row] >= 0 && hits[data.layers[layer].labels[row]])
          || inFields.some((matches) => matches(row));
        if (isHit) mask[row] = 1;
      });
      if (last < data.n) await new Promise((resume) => setTimeout(resume));
      if (own !== asked) return null;
    }
    return mask;
  }

  /** Points found; null where another search came in between. */
  async function run(query, cause) {
    const count = byId("search-count");
    if (query.trim() === "") {
      asked += 1;
      filters.set("search", null, cause);
      count.textContent = "";
      return 0;
    }
    const mask = await findRows(query);
    if (mask === null) return null;
    filters.set("search", mask, cause);
    const found = mask.reduce((sum, hit) => sum + hit, 0);
    count.textContent = found === 0 ? "nothing found" : plural(found, "point");
    announce(count.textContent);
    return found;
  }

  /** Zoom to what was found. */
  function fitFound() {
    const mask = filters.mask();
    if (mask !== null) places.flyToRows(rowsWhere(mask));
  }

  function rowsWhere(mask) {
    const rows = [];
    for (let row = 0; row < data.n; row++) if (mask[row]) rows.push(row);
    return Int32Array.from(rows);
  }

  return {
    start() {
      input = byId("search");
      const soon = debounce(() => run(input.value), PAUSE_MS);
      input.addEventListener("input", soon);
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") fitFound();
        if (event.key === "Escape") {
          event.stopPropagation();
          this.set("");
          input.blur();
        }
      });
    },
    set(query, cause) {
      input.value = query;
      return run(query, cause);
    },
  };
})();
