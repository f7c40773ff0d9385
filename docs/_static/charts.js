// Draws the records that pages embed as JSON: bars and points as SVG, with a choice of the group and the values under the pointer.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const OURS = /^(fastcodes|fci|ThumbnailCodec|ResidualBinaryCoder)/;
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d31", "#7f7f7f", "#6a3d9a", "#b2182b"];

function element(parent, name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  parent.append(made);
  return made;
}

function titled(shape, text) {
  element(shape, "title", {}, text);
  shape.setAttribute("tabindex", "0");
  return shape;
}

function short(number) {
  return Number(number.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}

function ticks(low, high, logarithmic) {
  if (logarithmic) {
    const found = [];
    const factors = high / low > 300 ? [1] : [1, 2, 5];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const factor of factors) {
        const tick = factor * 10 ** power;
        if (tick >= low && tick <= high) found.push(tick);
      }
    return found;
  }
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) found.push(Number(tick.toPrecision(10)));
  return found;
}

function drawBars(svg, chart, rows) {
  const rowHeight = 34, left = 8, right = 64, width = 640;
  const largest = Math.max(...rows.map((row) => row[2]), 1);
  const scale = (value) => {
    const share = chart.linear ? value / largest : Math.log(Math.max(value, 1e-3) / 0.5) / Math.log(largest / 0.5);
    return Math.max(share, 0.004) * (width - left - right);
  };
  svg.setAttribute("viewBox", `0 0 ${width} ${rows.length * rowHeight + 22}`);
  rows.forEach(([name, against, value, rate, unit], index) => {
    const y = index * rowHeight;
    const label = against ? `${name}, compared with ${against}` : name;
    element(svg, "text", { x: left, y: y + 12, class: "name" }, label);
    const color = !chart.linear && value < 1 ? COLORS[1] : OURS.test(name) || !chart.linear ? COLORS[0] : COLORS[7];
    const bar = element(svg, "rect", { x: left, y: y + 16, width: scale(value), height: 12, fill: color, rx: 2 });
    titled(bar, rate ? `${label}: ${short(rate)} billion ${unit} per second` : `${label}: ${short(value)}`);
    element(svg, "text", { x: left + scale(value) + 6, y: y + 27 }, short(value) + (chart.linear ? "" : " x"));
  });
  if (!chart.linear)
    element(svg, "line", { x1: left + scale(1), x2: left + scale(1), y1: 0, y2: rows.length * rowHeight, class: "one" });
  element(svg, "text", { x: left, y: rows.length * rowHeight + 14, class: "axis" }, chart.label.replaceAll("_", " "));
}

function drawPoints(svg, chart, series, legend) {
  const width = 640, height = 400, left = 58, bottom = 44, top = 10, right = 12;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const points = Object.values(series).flat();
  const range = (values, logarithmic) => {
    const low = Math.min(...values), high = Math.max(...values);
    return logarithmic ? [low / 1.2, high * 1.2] : [low - 0.05 * (high - low || 1), high + 0.05 * (high - low || 1)];
  };
  const [x0, x1] = range(points.map((point) => point[0]), chart.log);
  const yLogarithmic = chart.y === "queries_per_second";
  const [y0, y1] = range(points.map((point) => point[1]), yLogarithmic);
  const place = (value, low, high, logarithmic) =>
    logarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  const x = (value) => left + place(value, x0, x1, chart.log) * (width - left - right);
  const y = (value) => height - bottom - place(value, y0, y1, yLogarithmic) * (height - bottom - top);
  for (const tick of ticks(x0, x1, chart.log)) {
    element(svg, "line", { x1: x(tick), x2: x(tick), y1: top, y2: height - bottom, class: "grid" });
    element(svg, "text", { x: x(tick), y: height - bottom + 16, "text-anchor": "middle" }, short(tick));
  }
  for (const tick of ticks(y0, y1, yLogarithmic)) {
    element(svg, "line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick), class: "grid" });
    element(svg, "text", { x: left - 6, y: y(tick) + 4, "text-anchor": "end" }, short(tick));
  }
  element(svg, "text", { x: (left + width) / 2, y: height - 6, "text-anchor": "middle", class: "axis" }, chart.x.replaceAll("_", " "));
  element(svg, "text", { transform: `translate(14 ${height / 2}) rotate(-90)`, "text-anchor": "middle", class: "axis" }, chart.y.replaceAll("_", " "));
  Object.entries(series).forEach(([name, found], index) => {
    const color = COLORS[index % COLORS.length], isOurs = OURS.test(name);
    const group = element(svg, "g", { class: "series" });
    const sorted = [...found].sort((one, other) => one[0] - other[0]);
    if (chart.lines && sorted.length > 1)
      element(group, "polyline", {
        points: sorted.map((point) => `${x(point[0])},${y(point[1])}`).join(" "), fill: "none", stroke: color,
        "stroke-width": isOurs ? 2.5 : 1.2, "stroke-dasharray": index >= COLORS.length ? "5 3" : "none",
      });
    for (const [px, py, label] of sorted)
      titled(element(group, "circle", { cx: x(px), cy: y(py), r: isOurs ? 4.5 : 3.5, fill: color }), `${label}: ${short(px)}, ${short(py)}`);
    const button = document.createElement("button");
    button.type = "button";
    button.innerHTML = `<span style="background:${color}"></span>`;
    button.append(name);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      const isHidden = group.classList.toggle("hidden");
      button.setAttribute("aria-pressed", String(!isHidden));
    });
    legend.append(button);
  });
}

for (const figure of document.querySelectorAll(".record-chart")) {
  const chart = JSON.parse(figure.querySelector("script").textContent);
  const names = Object.keys(chart.groups);
  const choice = document.createElement("select");
  choice.setAttribute("aria-label", "What to show");
  for (const name of names) choice.add(new Option(name));
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", figure.getAttribute("aria-label"));
  const legend = document.createElement("div");
  legend.className = "legend";
  const draw = () => {
    svg.replaceChildren();
    legend.replaceChildren();
    const group = chart.groups[choice.value || names[0]];
    if (chart.kind === "bars") drawBars(svg, chart, group);
    else drawPoints(svg, chart, group, legend);
  };
  choice.addEventListener("change", draw);
  if (names.length > 1) figure.prepend(choice);
  figure.querySelector("figcaption").before(svg, legend);
  draw();
}
