// Where things are: rows by id, members of topics, boxes around points, and flights to them.

const FLIGHT_MS = 600;
const BATCH_ROWS = 16_384;

const places = (() => {
  let rowsById = null;

  function indexIds() {
    rowsById = new Map();
    for (let first = 0; first < data.n; first += BATCH_ROWS) {
      const ids = data.ids.slice(first, Math.min(data.n, first + BATCH_ROWS));
      for (let place = 0; place < ids.length; place++) rowsById.set(ids[place], first + place);
    }
  }

  /** The row of an id, or -1. A map without ids knows its points by row number. */
  function rowOf(id) {
    if (!data.hasIds) return /^\d{1,9}$/.test(id) && Number(id) < data.n ? Number(id) : -1;
    if (rowsById === null) indexIds();
    return rowsById.get(id) ?? -1;
  }

  /** The box [left, bottom, right, top] around rows, or null around none. */
  function boxOf(rows) {
    let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const row of rows) {
      const [x, y] = [data.positions[2 * row], data.positions[2 * row + 1]];
      left = Math.min(left, x);
      right = Math.max(right, x);
      bottom = Math.min(bottom, y);
      top = Math.max(top, y);
    }
    return rows.length === 0 ? null : [left, bottom, right, top];
  }

  /** The rows of one topic, in order. */
  function membersOf(layer, label) {
    const { labels, clusters } = data.layers[layer];
    const rows = new Int32Array(clusters[label].size);
    let found = 0;
    for (let row = 0; row < data.n && found < rows.length; row++) if (labels[row] === label) rows[found++] = row;
    return rows.subarray(0, found);
  }

  return {
    rowOf,
    boxOf,
    membersOf,
    /** Topics of any layer that have a name, as {layer, label}. */
    topicsNamed(name) {
      return data.layers.flatMap(({ clusters }, layer) =>
        clusters.flatMap((cluster, label) => (cluster.name === name ? [{ layer, label }] : [])),
      );
    },
    flyToRows(rows) {
      if (rows.length === 1) camera.flyTo(rows[0], FLIGHT_MS);
      else if (rows.length > 1) camera.fit(boxOf(rows), FLIGHT_MS);
    },
    flyToTopic(layer, label) {
      camera.fit(data.layers[layer].clusters[label].box, FLIGHT_MS);
    },
  };
})();
