// Points by place: rows sorted into square cells, to find what lies near.

class Grid {
  constructor(positions, count) {
    let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let row = 0; row < count; row++) {
      const [x, y] = [positions[2 * row], positions[2 * row + 1]];
      if (x < left) left = x;
      if (x > right) right = x;
      if (y < bottom) bottom = y;
      if (y > top) top = y;
    }
    this.positions = positions;
    this.box = [left, bottom, right, top];
    this.size = Math.max(right - left, top - bottom, 1e-6) / Math.max(1, Math.min(1024, Math.ceil(Math.sqrt(count / 3))));
    this.columns = Math.floor((right - left) / this.size) + 1;
    this.rows = Math.floor((top - bottom) / this.size) + 1;
    this.starts = new Uint32Array(this.columns * this.rows + 1);
    for (let row = 0; row < count; row++) this.starts[this.cellOf(row) + 1]++;
    for (let cell = 0; cell < this.starts.length - 1; cell++) this.starts[cell + 1] += this.starts[cell];
    const next = this.starts.slice();
    this.members = new Uint32Array(count);
    for (let row = 0; row < count; row++) this.members[next[this.cellOf(row)]++] = row;
  }

  cellOf(row) {
    const column = Math.floor((this.positions[2 * row] - this.box[0]) / this.size);
    const line = Math.floor((this.positions[2 * row + 1] - this.box[1]) / this.size);
    return line * this.columns + column;
  }

  /** The nearest row within a distance that passes a test, or -1. */
  nearest(x, y, reach, passes) {
    const clamp = (value, most) => Math.max(0, Math.min(most, Math.floor(value)));
    const first = clamp((x - reach - this.box[0]) / this.size, this.columns - 1);
    const last = clamp((x + reach - this.box[0]) / this.size, this.columns - 1);
    const low = clamp((y - reach - this.box[1]) / this.size, this.rows - 1);
    const high = clamp((y + reach - this.box[1]) / this.size, this.rows - 1);
    let [best, found] = [reach * reach, -1];
    for (let line = low; line <= high; line++) {
      for (let place = this.starts[line * this.columns + first]; place < this.starts[line * this.columns + last + 1]; place++) {
        const row = this.members[place];
        const [right, up] = [this.positions[2 * row] - x, this.positions[2 * row + 1] - y];
        const apart = right * right + up * up;
        if (apart <= best && passes(row)) [best, found] = [apart, row];
      }
    }
    return found;
  }
}
