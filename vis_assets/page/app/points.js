// The points as a picture: one small program on the graphics card; without one, pixel by pixel.

const VERTEX_SHADER = `#version 300 es
in vec2 place;
in vec4 color;
uniform vec2 target;
uniform vec2 scale;
uniform float diameter;
out vec4 tint;
void main() {
  gl_Position = vec4((place - target) * scale, 0.0, 1.0);
  gl_PointSize = max(diameter + 1.0, 1.5);
  tint = color;
}`;

// a disc with a smooth edge; smaller than a pixel, a paler one
const FRAGMENT_SHADER = `#version 300 es
precision highp float;
in vec4 tint;
uniform float diameter;
uniform float line;
out vec4 fragment;
void main() {
  float radius = 0.5 * max(diameter, 1.0);
  float reach = length(gl_PointCoord - 0.5) * max(diameter + 1.0, 1.5);
  float cover = clamp(radius + 0.5 - reach, 0.0, 1.0) * min(1.0, diameter * diameter);
  vec3 color = line > 0.0 && reach > radius - line ? mix(tint.rgb, vec3(0.98), 0.5) : tint.rgb;
  fragment = vec4(color, 1.0) * (tint.a * cover);
}`;

/** Draws by WebGL 2. */
class CardPainter {
  static create(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: true, powerPreference: "high-performance" });
    return gl ? new CardPainter(canvas, gl) : null;
  }

  constructor(canvas, gl) {
    Object.assign(this, { canvas, gl });
    this.build();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.build();
      this.setPlaces(this.places);
      this.setColors(this.colors);
      bus.emit("view");
    });
  }

  build() {
    const { gl } = this;
    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`graphics: ${gl.getProgramInfoLog(program)}`);
    gl.useProgram(program);
    this.uniforms = Object.fromEntries(["target", "scale", "diameter", "line"].map((name) => [name, gl.getUniformLocation(program, name)]));
    this.buffers = { place: gl.createBuffer(), color: gl.createBuffer() };
    this.program = program;
    this.attach(1);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    [, this.greatest] = gl.getParameter(gl.ALIASED_POINT_SIZE_RANGE);
  }

  /** Have every so-manieth point drawn. */
  attach(step) {
    const { gl } = this;
    for (const [name, size, type, bytes] of [["place", 2, gl.FLOAT, 8], ["color", 4, gl.UNSIGNED_BYTE, 4]]) {
      const index = gl.getAttribLocation(this.program, name);
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.enableVertexAttribArray(index);
      gl.vertexAttribPointer(index, size, type, name === "color", step * bytes, 0);
    }
    this.step = step;
  }

  setPlaces(places) {
    this.places = places;
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers.place);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, places, this.gl.STATIC_DRAW);
  }

  setColors(colors) {
    this.colors = colors;
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, this.buffers.color);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, colors, this.gl.DYNAMIC_DRAW);
  }

  draw({ target, zoom, size: [width, height], density, radius, line, step }) {
    const { gl, uniforms } = this;
    if (step !== this.step) this.attach(step);
    const scale = 2 ** zoom;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(uniforms.target, target[0], target[1]);
    gl.uniform2f(uniforms.scale, (2 * scale) / width, (2 * scale) / height);
    gl.uniform1f(uniforms.diameter, Math.min(2 * radius * density, this.greatest - 1));
    gl.uniform1f(uniforms.line, line * density);
    gl.drawArrays(gl.POINTS, 0, Math.ceil(this.places.length / 2 / step));
  }
}

/** Draws squares into the pixels themselves, for browsers without WebGL 2. */
class PixelPainter {
  constructor(canvas) {
    Object.assign(this, { canvas, pen: canvas.getContext("2d") });
  }

  setPlaces(places) {
    this.places = places;
  }

  setColors(colors) {
    this.colors = colors;
  }

  draw({ target, zoom, size: [width, height], density, radius, step }) {
    const picture = this.pen.createImageData(this.canvas.width, this.canvas.height);
    const pixels = new Uint32Array(picture.data.buffer);
    const colors = new Uint32Array(this.colors.buffer);
    const [scale, side] = [2 ** zoom * density, Math.max(1, Math.round(1.7 * radius * density))];
    for (let row = 0; row < this.places.length / 2; row += step) {
      const left = Math.round((width * density) / 2 + (this.places[2 * row] - target[0]) * scale - side / 2);
      const top = Math.round((height * density) / 2 - (this.places[2 * row + 1] - target[1]) * scale - side / 2);
      if (left < 0 || top < 0 || left + side > picture.width || top + side > picture.height) continue;
      for (let line = top; line < top + side; line++) pixels.fill(colors[row], line * picture.width + left, line * picture.width + left + side);
    }
    this.pen.putImageData(picture, 0, 0);
  }
}

const createPainter = (canvas) => CardPainter.create(canvas) ?? new PixelPainter(canvas);
