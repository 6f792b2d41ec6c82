// Draws the labels that fit: none touches another, a box of the page or the edge of the map, and big clusters go first.
// Takes the place of deck.gl's CollisionFilterExtension, which lets labels overlap and half fades them.
(() => {
  const MAX_LINES = 3;
  const GAP_PX = 4; // kept free between labels; their halo is drawn there
  const LINE_HEIGHT = 1.2; // of a line in deck.gl, in sizes of its letters, before the layer's own factor
  const PAUSE_MS = 100; // between two layouts while the view moves
  const FULL_SIZE_AT_PX = 1000; // on a narrower map letters are smaller
  const SMALLEST_SCALE = 0.75;
  // where a label's middle may lie from its cluster's, in halves of the label's own size; the first that fits is taken
  const PLACES = [[0, 0], [0, -1], [0, 1], [-1, 0], [1, 0], [-1, -1], [1, -1], [-1, 1], [1, 1]];

  let labels = [];
  let drawn = "";
  let placedView = null;
  let timer = 0;
  let isDue = false;

  function cut(text) {
    const lines = text.split("\n");
    return lines.length <= MAX_LINES ? text : `${lines.slice(0, MAX_LINES).join("\n").replace(/[\s,;:.]+$/, "")}\u2026`;
  }

  /** Texts and sizes (in units of the letters' size) of all labels, those of the biggest clusters first. */
  function measure({ data, fontFamily, fontWeight, lineHeight }) {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `${fontWeight} 100px ${fontFamily}`;
    // letter by letter, because deck.gl sets letters without kerning
    const widthOf = (line) => Array.from(line).reduce((sum, letter) => sum + pen.measureText(letter).width, 0) / 100;
    return data
      .map((label) => {
        const text = cut(label.label);
        const lines = text.split("\n");
        return { ...label, text, width: Math.max(...lines.map(widthOf)), height: lines.length * lineHeight * LINE_HEIGHT };
      })
      .sort((one, other) => other.size - one.size);
  }

  function findBoxes() {
    const map = document.getElementById("deck-container").getBoundingClientRect();
    return [...document.querySelectorAll("#map .container-box")]
      .map((element) => element.getBoundingClientRect())
      .filter((box) => box.width > 0)
      .map((box) => [box.left - map.left, box.top - map.top, box.right - map.left, box.bottom - map.top]);
  }

  function fits([left, top, right, bottom], view, taken) {
    if (left < 0 || top < 0 || right > view.width || bottom > view.height) return false;
    return !taken.some((box) => left < box[2] && box[0] < right && top < box[3] && box[1] < bottom);
  }

  /** Choose what to draw: labels with their offset (pixels) from the middle of their cluster. */
  function choose(view, sizeOf) {
    const taken = findBoxes();
    const chosen = [];
    for (const label of labels) {
      const [x, y] = view.project([label.x, label.y]);
      const halfWidth = (label.width * sizeOf(label)) / 2;
      const halfHeight = (label.height * sizeOf(label)) / 2;
      for (const [right, down] of PLACES) {
        const offset = [right * halfWidth, down * halfHeight];
        const [middle, center] = [x + offset[0], y + offset[1]];
        const [w, h] = [halfWidth + GAP_PX / 2, halfHeight + GAP_PX / 2];
        const box = [middle - w, center - h, middle + w, center + h];
        if (!fits(box, view, taken)) continue;
        taken.push(box);
        chosen.push({ ...label, offset });
        break;
      }
    }
    return chosen;
  }

  function replaceLayer(changes) {
    const { datamap } = window;
    const old = datamap.labelLayer;
    datamap.labelLayer = old.clone(changes);
    datamap.layers = datamap.layers.map((layer) => (layer === old ? datamap.labelLayer : layer));
    datamap.deckgl.setProps({ layers: datamap.layers });
  }

  function place() {
    const { deckgl, labelLayer } = window.datamap;
    if (!deckgl.isInitialized) return;
    const view = deckgl.getViewports()[0];
    const sizeScale = Math.max(SMALLEST_SCALE, Math.min(1, view.width / FULL_SIZE_AT_PX));
    const { sizeMinPixels, sizeMaxPixels } = labelLayer.props;
    const sizeOf = (label) => Math.max(sizeMinPixels, Math.min(sizeMaxPixels, label.size * sizeScale));
    const chosen = choose(view, sizeOf);
    const state = JSON.stringify([sizeScale, chosen.map(({ x, y, offset }) => [x, y, offset])]);
    placedView = view;
    if (state === drawn) return;
    drawn = state;
    replaceLayer({ data: chosen, sizeScale });
  }

  /** Place labels now, or as soon as the last time is long enough ago. */
  function placeSoon() {
    isDue = true;
    if (timer) return;
    isDue = false;
    place();
    timer = setTimeout(() => {
      timer = 0;
      if (isDue) placeSoon();
    }, PAUSE_MS);
  }

  document.addEventListener("datamapLabelsLoaded", () => {
    const { deckgl, labelLayer } = window.datamap;
    labels = measure(labelLayer.props);
    replaceLayer({
      data: [],
      characterSet: [...new Set(labels.flatMap(({ text }) => Array.from(text)))],
      fontSettings: { sdf: true, buffer: 12 }, // room for the halo; with less, letters get dashes around them
      getText: (label) => label.text,
      getPixelOffset: (label) => label.offset,
    });
    // every move of the view, by whatever cause, ends in a new picture
    deckgl.setProps({
      onAfterRender: () => {
        if (!placedView || !deckgl.getViewports()[0].equals(placedView)) placeSoon();
      },
    });
    const watch = new ResizeObserver(placeSoon);
    document.querySelectorAll("#map .container-box").forEach((element) => watch.observe(element));
    placeSoon();
  });
})();
