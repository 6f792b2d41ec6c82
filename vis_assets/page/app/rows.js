// Points as files: CSV (RFC 4180) and JSON.

const RISKY_START = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/; // a spreadsheet takes such a cell for a formula

const rowFiles = (() => {
  const ROWS_A_PART = 2_000;

  /** The value of a field at a row: a number, a text, or null where there is none. */
  function fieldValue(field, row) {
    if (field.kind === "number") return Number.isNaN(field.values[row]) ? null : field.values[row];
    if (field.kind !== "date") return fieldText(field, row) || null;
    const date = new Date(field.values[row]);
    return Number.isNaN(date.getTime()) ? null : date.toISOString();
  }

  function topicName(layer, row) {
    const { labels, clusters } = data.layers[layer];
    return labels[row] < 0 ? null : clusters[labels[row]].name;
  }

  const place = (row, axis) => Number(data.positions[2 * row + axis].toPrecision(7));

  /** What a file says of a point, as [name, value of a row], each name once. */
  function columns() {
    const own = [
      ["id", (row) => data.id(row)],
      ["x", (row) => place(row, 0)],
      ["y", (row) => place(row, 1)],
      ...data.layers.map((_, layer) => [layer === 0 ? "topic" : `topic_${layer}`, (row) => topicName(layer, row)]),
      ["text", (row) => data.text(row)],
    ];
    const taken = new Set(own.map(([name]) => name));
    const fields = data.fields.map((field) => {
      const name = taken.has(field.name) ? `payload.${field.name}` : field.name;
      return [name, (row) => fieldValue(field, row)];
    });
    return [...own, ...fields];
  }

  /** A cell that no spreadsheet runs: texts that look like formulas get an apostrophe, numbers stay. */
  function cell(value) {
    if (value === null) return "";
    if (typeof value === "number") return String(value);
    const text = RISKY_START.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text;
  }

  function writeParts(rows, writeRow) {
    const parts = [];
    for (let first = 0; first < rows.length; first += ROWS_A_PART) {
      parts.push(Array.from(rows.subarray(first, first + ROWS_A_PART), writeRow).join(""));
    }
    return parts;
  }

  function csvParts(rows) {
    const all = columns();
    const line = (values) => `${values.map(cell).join(",")}\r\n`;
    return [`\ufeff${line(all.map(([name]) => name))}`, ...writeParts(rows, (row) => line(all.map(([, read]) => read(row))))];
  }

  function jsonRow(row) {
    const payload = Object.fromEntries(data.fields.map((field) => [field.name, fieldValue(field, row)]));
    const topics = data.layers.map((_, layer) => topicName(layer, row));
    return JSON.stringify({ id: data.id(row), x: place(row, 0), y: place(row, 1), topics, text: data.text(row), payload });
  }

  function jsonParts(rows) {
    let isFirst = true;
    const write = (row) => {
      const before = isFirst ? "\n" : ",\n";
      isFirst = false;
      return before + jsonRow(row);
    };
    return ["[", ...writeParts(rows, write), "\n]\n"];
  }

  const KINDS = { csv: ["text/csv;charset=utf-8", csvParts], json: ["application/json", jsonParts] };

  return {
    /** Hand rows to the reader as a file; kind is "csv" or "json". */
    save(rows, kind) {
      const [mime, write] = KINDS[kind];
      const parts = write(rows);
      download(`${fileStem()}-selection.${kind}`, mime, inSandbox ? parts.join("") : new Blob(parts, { type: mime }));
    },
  };
})();

/** The map's title as the beginning of a file's name. */
function fileStem() {
  const title = (data.title ?? "").normalize("NFKC").replace(/[^\p{L}\p{N}]+/gu, "-");
  return [...title].slice(0, 60).join("").replace(/^-+|-+$/g, "") || "topic-map";
}
