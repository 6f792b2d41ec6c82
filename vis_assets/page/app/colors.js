// Colours of points by topic, strength or field, and the light and dark theme.

const STOPS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [180, 222, 44], [253, 231, 37]]; // viridis
const CATEGORY_COLORS = [[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [213, 94, 0], [150, 140, 30], [120, 94, 240], [220, 38, 127], [100, 143, 90], [140, 90, 60], [90, 200, 190]]; // Okabe & Ito, and on
const MISSING_COLOR = [150, 150, 150];

const colors = (() => {
  const BUILT_IN = ["cluster", "strength"];
  let current = "cluster";
  let scale = null; // of a number or date: {low, high}

  function ramp(share) {
    const place = Math.min(0.999999, Math.max(0, share)) * (STOPS.length - 1);
    const below = Math.floor(place);
    return STOPS[below].map((part, index) => Math.round(part + (STOPS[below + 1][index] - part) * (place - below)));
  }

  function ofCategory(code) {
    if (code < 0) return MISSING_COLOR;
    if (code < CATEGORY_COLORS.length) return CATEGORY_COLORS[code];
    return hslToRgb((code * 137.508) % 360, 0.5, code % 2 ? 0.45 : 0.62);
  }

  function hslToRgb(hue, saturation, lightness) {
    const reach = saturation * Math.min(lightness, 1 - lightness);
    return [0, 8, 4].map((offset) => {
      const place = (offset + hue / 30) % 12;
      return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(place - 3, 9 - place, 1))));
    });
  }

  /** The middle 98 % of the numbers, so that one outlier does not take all the colour. */
  function rangeOf(values) {
    const step = Math.max(1, Math.floor(values.length / 50_000));
    const sample = [];
    for (let row = 0; row < values.length; row += step) if (!Number.isNaN(values[row])) sample.push(values[row]);
    if (sample.length === 0) return { low: 0, high: 1 };
    const sorted = Float64Array.from(sample).sort();
    const low = sorted[Math.floor(sorted.length * 0.01)];
    const high = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))];
    return high > low ? { low, high } : { low, high: low + 1 };
  }

  function painter(name) {
    if (name === "cluster") {
      const { labels, clusters } = data.layers[0];
      const noise = data.noise_rgb;
      return (row) => (labels[row] < 0 ? noise : clusters[labels[row]].color);
    }
    if (name === "strength") return (row) => ramp(data.strengths[row] / 255);
    const field = data.fields.find((one) => one.name === name);
    if (field.kind === "category") {
      const table = [MISSING_COLOR, ...field.categories.map((_, code) => ofCategory(code))];
      return (row) => table[field.values[row] + 1];
    }
    const { low, high } = scale;
    const table = Array.from({ length: 256 }, (_, place) => ramp(place / 255));
    return (row) => {
      const share = (field.values[row] - low) / (high - low);
      return Number.isNaN(share) ? MISSING_COLOR : table[Math.max(0, Math.min(255, Math.round(share * 255)))];
    };
  }

  return {
    by(name) {
      const field = BUILT_IN.includes(name) ? undefined : data.fields.find((one) => one.name === name);
      const isKnown = name === "cluster" || (name === "strength" && data.strengths) || (field && field.kind !== "text");
      if (!isKnown) return false;
      current = name;
      scale = field && field.kind !== "category" ? rangeOf(field.values) : null;
      bus.emit("color", { field: name });
      return true;
    },
    current: () => current,
    scale: () => scale,
    painter: () => painter(current),
    choices() {
      const own = data.fields.filter(({ name, kind }) => kind !== "text" && !BUILT_IN.includes(name)).map(({ name }) => name);
      return ["cluster", ...(data.strengths ? ["strength"] : []), ...own];
    },
    ramp,
    ofCategory,
  };
})();

const cssColor = ([red, green, blue], opacity = 1) => `rgba(${red},${green},${blue},${opacity})`;

const theme = {
  isDark: () => byId("map").classList.contains("dark"),
  set(isDark) {
    byId("map").classList.toggle("dark", isDark);
    document.documentElement.classList.toggle("dark", isDark);
    bus.emit("theme", { dark: isDark });
  },
  inkOf: (cluster) => {
    if (!data.options.color_label_text) return theme.isDark() ? [238, 238, 238] : [20, 20, 24];
    return theme.isDark() ? cluster.inks[1] : cluster.inks[0];
  },
  background: () => data.options.background_color ?? (theme.isDark() ? "#14161a" : "#ffffff"),
};
