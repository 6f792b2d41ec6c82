// A picture of the map as it is seen, twice as fine: points, names, title and legend.

const picture = (() => {
  const SCALE = 2;
  const BOXES = ["title-box", "legend", "filter-state"];

  /** The points, drawn and read in one task, since the graphics card keeps no picture. */
  function copyPoints(pen, [width, height]) {
    drawPoints(SCALE);
    pen.drawImage(scene.canvas, 0, 0, width, height);
    drawPoints(densityOf(data.n));
  }

  /** The box of an element, from the corner of the map. */
  function boxOf(shape, origin) {
    return [shape.left - origin.left, shape.top - origin.top, shape.width, shape.height];
  }

  /** "linear-gradient(to right, ...)" of a style as a gradient of the canvas. */
  function gradientOf(pen, image, [left, , width]) {
    const stops = image.match(/rgba?\([^)]*\)/g) ?? [];
    if (!image.startsWith("linear-gradient") || stops.length < 2) return null;
    const gradient = pen.createLinearGradient(left, 0, left + width, 0);
    stops.forEach((stop, place) => gradient.addColorStop(place / (stops.length - 1), stop));
    return gradient;
  }

  function drawBox(pen, element, style, origin) {
    const box = boxOf(element.getBoundingClientRect(), origin);
    const radius = Math.min(Number.parseFloat(style.borderTopLeftRadius) || 0, box[2] / 2, box[3] / 2);
    const round = style.borderTopLeftRadius.endsWith("%") ? Math.min(box[2], box[3]) / 2 : radius;
    pen.beginPath();
    pen.roundRect(...box, round);
    pen.fillStyle = gradientOf(pen, style.backgroundImage, box) ?? style.backgroundColor;
    pen.fill();
    if (Number.parseFloat(style.borderTopWidth) > 0 && style.borderTopStyle === "solid") {
      pen.strokeStyle = style.borderTopColor;
      pen.lineWidth = Number.parseFloat(style.borderTopWidth);
      pen.stroke();
    }
  }

  /** The lines into which the browser has broken a text, as [text, rectangle]. */
  function linesOf(node) {
    const range = document.createRange();
    const lines = [];
    for (const { index, 0: word } of node.data.matchAll(/\S+\s*/g)) {
      range.setStart(node, index);
      range.setEnd(node, index + word.trimEnd().length);
      const box = range.getBoundingClientRect();
      const last = lines.at(-1);
      if (last && Math.abs(last.box.top - box.top) < 3) last.text += word;
      else lines.push({ text: word, box });
    }
    return lines.filter(({ box }) => box.width > 0);
  }

  function drawText(pen, node, style, origin) {
    pen.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    pen.fillStyle = style.color;
    pen.textBaseline = "middle";
    const isRightToLeft = style.direction === "rtl";
    pen.direction = style.direction;
    pen.textAlign = "left";
    for (const { text, box } of linesOf(node)) {
      const shown = text.trimEnd();
      const left = isRightToLeft ? box.right - pen.measureText(shown).width : box.left;
      pen.fillText(shown, left - origin.left, box.top + box.height / 2 - origin.top);
    }
  }

  /** A folded, hidden or interactive part is no part of the picture; the value of a choice is. */
  function drawElement(pen, element, origin) {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (style.display === "none" || style.visibility === "hidden" || box.width === 0 || element.id === "filter-clear") return;
    pen.save();
    pen.globalAlpha *= Number.parseFloat(style.opacity);
    if (style.overflowY !== "visible" || style.overflowX !== "visible") clipTo(pen, boxOf(box, origin));
    drawBox(pen, element, style, origin);
    if (element instanceof HTMLImageElement) pen.drawImage(element, ...boxOf(box, origin));
    else if (element instanceof HTMLSelectElement) drawChoice(pen, element, style, boxOf(box, origin));
    else drawChildren(pen, element, style, origin);
    pen.restore();
  }

  function clipTo(pen, box) {
    pen.beginPath();
    pen.rect(...box);
    pen.clip();
  }

  function drawChoice(pen, select, style, [left, top, , height]) {
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    pen.fillStyle = style.color;
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    pen.fillText(select.selectedOptions[0]?.text ?? "", left + 8, top + height / 2);
  }

  function drawChildren(pen, element, style, origin) {
    for (const child of element.childNodes) {
      if (child instanceof Text) drawText(pen, child, style, origin);
      else if (child instanceof HTMLElement) drawElement(pen, child, origin);
    }
  }

  /** The map as it is seen, on a canvas. */
  function draw() {
    const [width, height] = camera.size();
    const canvas = el("canvas", { width: Math.round(width * SCALE), height: Math.round(height * SCALE) });
    const pen = canvas.getContext("2d");
    pen.scale(SCALE, SCALE);
    pen.fillStyle = theme.background();
    pen.fillRect(0, 0, width, height);
    drawGround(pen);
    copyPoints(pen, [width, height]);
    pen.save();
    drawMarks(pen);
    labels.drawOn(pen);
    pen.restore();
    const origin = byId("stage").getBoundingClientRect();
    const corner = byId("legend").parentElement;
    corner.classList.add("whole"); // nothing of the legend is cut off
    for (const id of BOXES) if (byId(id).open !== false) drawElement(pen, byId(id), origin);
    corner.classList.remove("whole");
    return canvas;
  }

  function save() {
    draw().toBlob((blob) => {
      if (blob === null) announce("The picture is too large for this browser.");
      else download(`${fileStem()}.png`, "image/png", blob);
    }, "image/png");
  }

  function build() {
    toolbar.add({ id: "tool-picture", label: "Save a picture (PNG)", icon: "camera", onclick: save });
  }

  return { build, draw };
})();

bus.on("ready", picture.build);
