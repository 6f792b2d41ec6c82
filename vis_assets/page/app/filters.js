// What is bright: masks of points by name; a point is shown where all of them let it through.

/** 1 for each of these rows, 0 for all others. */
function maskOfRows(rows) {
  const mask = new Uint8Array(data.n);
  for (const row of rows) mask[row] = 1;
  return mask;
}

const filters = (() => {
  const masks = new Map();
  let shown = null; // Uint8Array, or null where nothing is filtered

  function combine() {
    if (masks.size === 0) {
      shown = null;
      return;
    }
    shown = new Uint8Array(data.n).fill(1);
    for (const mask of masks.values()) for (let row = 0; row < data.n; row++) shown[row] &= mask[row];
  }

  return {
    set(name, mask, cause = null) {
      if (mask === null && !masks.has(name)) return;
      if (mask === null) masks.delete(name);
      else masks.set(name, mask);
      combine();
      bus.emit("filter", { name, cause });
    },
    passes: (row) => shown === null || shown[row] === 1,
    names: () => [...masks.keys()],
    mask: () => shown,
    /** All filters but one. */
    without(name) {
      const others = [...masks].filter(([key]) => key !== name).map(([, mask]) => mask);
      return others.length === 0 ? null : (row) => others.every((mask) => mask[row] === 1);
    },
    clear() {
      masks.clear();
      combine();
      bus.emit("filter", { name: null });
    },
    count() {
      if (shown === null) return data.n;
      let count = 0;
      for (let row = 0; row < data.n; row++) count += shown[row];
      return count;
    },
  };
})();
