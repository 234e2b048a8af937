"use strict";
/* Drawing. Text reaches the page by textContent only, so names of codecs and files are never markup. */

const SVG = "http://www.w3.org/2000/svg";
const SHAPES = [
  "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
  "M-3.6,-3.6h7.2v7.2h-7.2z",
  "M0,-4.8L4.6,3.4H-4.6z",
  "M0,-5L5,0L0,5L-5,0z",
  "M0,4.8L4.6,-3.4H-4.6z",
];

function make(tag, attributes = {}, ...children) {
  return furnish(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

function furnish(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null));
  return node;
}

function marker(codec, at = "") {
  const state = codec.published ? " published" : "";
  return draw("path", { d: SHAPES[codec.look % SHAPES.length], class: `marker${state} c${codec.look % data.colors}`, transform: at });
}

/* Four digits at most, no exponent in the range of what is drawn. */
function plain(value) {
  return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 8, useGrouping: false }).replace("-", "−");
}

function linearTicks(low, high, room) {
  const raw = (high - low) / Math.max(2, room);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const ticks = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index++) ticks.push(index * step);
  return ticks;
}

function logTicks(low, high, room) {
  for (const factors of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
      for (const factor of factors) ticks.push(Number(`${factor}e${power}`));
    }
    const inside = ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
    if (inside.length <= room || factors.length === 1) {
      return inside.filter((_, index) => index % Math.ceil(inside.length / room) === 0);
    }
  }
  return [];
}

/* A scale: value → pixel, with its ticks. Some room is left around the values. */
function scale(values, from, to, logarithmic, room) {
  const bend = logarithmic ? Math.log10 : (value) => value;
  let [low, high] = [Math.min(...values.map(bend)), Math.max(...values.map(bend))];
  const margin = (high - low) * 0.05 || (logarithmic ? 0.3 : Math.abs(high) * 0.1 || 1);
  const floor = !logarithmic && low >= 0 && low - margin < 0 ? 0 : low - margin;
  [low, high] = [floor, high + margin];
  const place = (value) => from + ((bend(value) - low) / (high - low)) * (to - from);
  const ticks = logarithmic ? logTicks(10 ** low, 10 ** high, room) : linearTicks(low, high, room);
  return { place, ticks };
}

/* One chart in `host`: series are [{codec, points: [{x, y, tell}]}], tell() gives the lines of the tooltip, the first one bold. */
function chart(host, options) {
  const { title, xLabel, yLabel, series, logX, lines, named } = options;
  const width = Math.max(260, host.clientWidth - 18);
  const height = Math.round(Math.min(400, Math.max(260, width * 0.72)));
  const box = { left: 54, right: width - 14, top: 12, bottom: height - 44 };
  const figure = make("figure", {}, make("figcaption"));
  figure.firstChild.textContent = title;
  host.replaceChildren(figure);
  const all = series.flatMap((one) => one.points);
  if (all.length === 0) {
    figure.append(make("p", { class: "note" }, options.empty));
    return;
  }
  const x = scale(all.map((point) => point.x), box.left, box.right, logX, Math.floor((box.right - box.left) / 55));
  const y = scale(all.map((point) => point.y), box.bottom, box.top, false, 6);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", tabindex: 0, "aria-label": `${title}: ${yLabel} against ${xLabel}. Arrow keys move from point to point.` });
  figure.append(svg);
  drawAxes(svg, box, x, y, xLabel, yLabel);
  for (const one of series) svg.append(drawSeries(one, x, y, lines));
  if (named) nameSeries(svg, series, x, y, box);
  makeHoverable(svg, series, x, y);
}

function drawAxes(svg, box, x, y, xLabel, yLabel) {
  const middle = (box.top + box.bottom) / 2;
  for (const tick of y.ticks) {
    const at = y.place(tick);
    svg.append(draw("line", { class: "gridline", x1: box.left, x2: box.right, y1: at, y2: at }));
    svg.append(draw("text", { x: box.left - 7, y: at + 4, "text-anchor": "end" }, plain(tick)));
  }
  for (const tick of x.ticks) {
    const at = x.place(tick);
    svg.append(draw("line", { class: "gridline", x1: at, x2: at, y1: box.top, y2: box.bottom }));
    svg.append(draw("text", { x: at, y: box.bottom + 17, "text-anchor": "middle" }, plain(tick)));
  }
  svg.append(draw("path", { class: "axis", fill: "none", d: `M${box.left},${box.top}V${box.bottom}H${box.right}` }));
  svg.append(draw("text", { x: (box.left + box.right) / 2, y: box.bottom + 37, "text-anchor": "middle" }, xLabel));
  svg.append(draw("text", { transform: `translate(13,${middle}) rotate(-90)`, "text-anchor": "middle" }, yLabel));
}

function drawSeries(one, x, y, lines) {
  const { codec, points } = one;
  const group = draw("g", { class: `curve c${codec.look % data.colors}${codec.published ? " published" : ""}` });
  group.dataset.codec = codec.name;
  const places = points.map((point) => [x.place(point.x), y.place(point.y)]);
  if (lines && places.length > 1) group.append(draw("path", { class: "line", d: `M${places.map((place) => place.join(",")).join("L")}` }));
  for (const [across, down] of places) group.append(marker(codec, `translate(${across},${down})`));
  return group;
}

/* Names beside the markers, toward the middle, moved up or down where another name or marker stands, inside the axes. */
function nameSeries(svg, series, x, y, box) {
  const spots = series.flatMap(({ codec, points }) => points.map((point) => ({ codec, across: x.place(point.x), down: y.place(point.y) })));
  const taken = spots.map(({ across, down }) => ({ left: across - 6, right: across + 6, down }));
  for (const { codec, across, down } of spots) {
    const text = codec.name.length > 24 ? `${codec.name.slice(0, 23)}…` : codec.name;
    const leftwards = across > (box.left + box.right) / 2;
    const [left, right] = leftwards ? [across - 9 - 7 * text.length, across - 9] : [across + 9, across + 9 + 7 * text.length];
    const isFree = (offset) => down + offset < box.bottom - 4 && down + offset > box.top + 4 && taken.every((other) => other.right < left || other.left > right || Math.abs(other.down - down - offset) > 11);
    const offset = [0, -12, 12, -24, 24, -36, 36, -48, 48, -60].find(isFree) ?? 0;
    taken.push({ left, right, down: down + offset });
    const name = draw("text", { class: "name", x: leftwards ? right : left, y: down + offset + 4, "text-anchor": leftwards ? "end" : "start" });
    name.textContent = text;
    svg.append(name);
  }
}

function makeHoverable(svg, series, x, y) {
  const spots = series.flatMap(({ codec, points }) => points.map((point) => ({ codec, point, across: x.place(point.x), down: y.place(point.y) })));
  const ring = draw("circle", { class: "ring", r: 7, visibility: "hidden" });
  svg.append(ring);
  let current = -1;
  const show = (index) => {
    current = index;
    const spot = spots[index];
    for (const group of svg.querySelectorAll(".curve")) group.classList.toggle("faded", Boolean(spot) && group.dataset.codec !== spot.codec.name);
    ring.setAttribute("visibility", spot ? "visible" : "hidden");
    if (!spot) return hideTip();
    ring.setAttribute("cx", spot.across);
    ring.setAttribute("cy", spot.down);
    const frame = svg.getBoundingClientRect();
    const stretch = frame.width / svg.viewBox.baseVal.width;
    showTip(spot.point.tell(), frame.left + spot.across * stretch, frame.top + spot.down * stretch);
  };
  const nearest = (event) => {
    const frame = svg.getBoundingClientRect();
    const stretch = svg.viewBox.baseVal.width / frame.width;
    const [across, down] = [(event.clientX - frame.left) * stretch, (event.clientY - frame.top) * stretch];
    const far = spots.map((spot) => Math.hypot(spot.across - across, spot.down - down));
    const best = far.indexOf(Math.min(...far));
    show(far[best] <= 36 ? best : -1);
  };
  svg.addEventListener("pointermove", nearest);
  svg.addEventListener("pointerdown", nearest);
  svg.addEventListener("pointerleave", () => show(-1));
  svg.addEventListener("blur", () => show(-1));
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") show(-1);
    if (!move) return;
    event.preventDefault();
    show((Math.max(current, move > 0 ? -1 : 0) + move + spots.length) % spots.length);
  });
}

function showTip(told, across, down) {
  const tip = document.getElementById("tip");
  tip.replaceChildren(...told.map((line, index) => make(index === 0 ? "strong" : "div", {}, line)));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  const left = across + 14 + width > innerWidth - 8 ? across - width - 14 : across + 14;
  const top = down + 14 + height > innerHeight - 8 ? down - height - 14 : down + 14;
  tip.style.left = `${Math.min(Math.max(8, left), Math.max(8, innerWidth - width - 8))}px`;
  tip.style.top = `${Math.max(8, top)}px`;
}

function hideTip() {
  document.getElementById("tip").hidden = true;
}
