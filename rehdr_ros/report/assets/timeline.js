// Rates, times and clipping over the whole recording: SVG panels with one cursor.
if (data.timeline) {
  const { frames, per_bin: perBin, seconds, panels, marks } = data.timeline;
  const LEFT = 56, RIGHT = 24, TOP = 18, HEIGHT = 96, BOTTOM = 22;
  const last = Math.max(seconds[seconds.length - 1], 1e-3);
  const cursor = find("#cursor");
  const binOf = (frame) => Math.floor(frame / perBin);
  let width = 0, drawn = [];

  const svg = (name, attributes, parent) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    parent?.append(element);
    return element;
  };
  const short = (value) => value >= 1e6 ? `${number(value / 1e6)} M` : value >= 1e4 ? `${number(value / 1e3)} k` : number(value);
  const x = (bin) => LEFT + seconds[bin] / last * (width - LEFT - RIGHT);

  const steps = (top, count) => { // 0, and multiples of 1, 2 or 5 up to the top
    const raw = top / count, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= 0.75 * raw);
    return Array.from({ length: Math.floor(top / step + 1.001) }, (_, k) => k * step);
  };
  const scale = (panel) => {
    const values = panel.series.flatMap((s) => [...s.min, ...s.max]).filter((v) => v !== null && (v > 0 || !panel.log));
    const top = Math.max(...values, 0);
    if (!panel.log || !values.length) {
      const ticks = steps(top * 1.05 || 1, 3), end = Math.max(top * 1.05 || 1, ticks[ticks.length - 1]);
      return { ticks, y: (v) => TOP + HEIGHT * (1 - v / end) };
    }
    const low = Math.floor(Math.log10(Math.min(...values))), high = Math.max(Math.ceil(Math.log10(top)), low + 1);
    const every = Math.ceil((high - low) / 4);
    const ticks = Array.from({ length: Math.floor((high - low) / every) + 1 }, (_, k) => 10 ** (low + k * every));
    return { ticks, y: (v) => TOP + HEIGHT * (1 - (Math.log10(Math.max(v, 10 ** low)) - low) / (high - low)) };
  };

  // The runs of bins that have a value: a line is broken where there is none.
  const runs = (values) => {
    const found = [];
    values.forEach((value, bin) => {
      if (value === null) return;
      if (bin && values[bin - 1] !== null) found[found.length - 1].push(bin);
      else found.push([bin]);
    });
    return found;
  };
  const path = (bins, values, y) => bins.map((bin) => `${x(bin).toFixed(1)} ${y(values[bin]).toFixed(1)}`).join("L");

  const drawSeries = (series, colour, y, root) => {
    for (const bins of runs(series.mean)) {
      if (perBin > 1) {
        const back = [...bins].reverse();
        svg("path", { class: "band", fill: colour, d: `M${path(bins, series.max, y)}L${path(back, series.min, y)}Z` }, root);
      }
      svg("path", { class: "line", stroke: colour, d: `M${path(bins, series.mean, y)}h0` }, root);
    }
  };
  const drawMarks = (root, bottom) => {
    for (const mark of marks) {
      const at = x(mark.bin);
      const shape = mark.reset ? { class: "reset", d: `M${at} 4V${bottom}` } : { class: "loss", d: `M${at - 5} 13h10l-5 -9Z` };
      svg("title", {}, svg("path", shape, root)).textContent = mark.text;
    }
  };
  const drawAxes = (panel, ticks, y, root, bottom) => {
    for (const tick of ticks) {
      svg("path", { class: "grid", d: `M${LEFT} ${y(tick)}H${width - RIGHT}` }, root);
      svg("text", { x: LEFT - 7, y: y(tick) + 4, "text-anchor": "end" }, root).textContent = short(tick);
    }
    const times = steps(last, width < 500 ? 4 : 8);
    for (const time of times) {
      const at = LEFT + time / last * (width - LEFT - RIGHT);
      const label = svg("text", { x: at, y: bottom + 16, "text-anchor": "middle" }, root);
      label.textContent = time === times[times.length - 1] ? `${number(time)} s` : number(time);
    }
  };
  const spoken = (panel) => panel.series.map((s) => {
    const [low, high] = [Math.min, Math.max].map((f, k) => f(...(k ? s.max : s.min).filter((v) => v !== null)));
    return `${s.label} ${number(low)} to ${number(high)} ${panel.unit}`;
  }).join(", ");

  const drawPanel = (panel) => {
    const title = make("h3", {}, panel.title, make("span", {}, `, ${panel.unit}${panel.log ? ", logarithmic" : ""}`));
    const legend = make("ul", { class: "legend" });
    const bottom = TOP + HEIGHT;
    const root = svg("svg", { height: bottom + BOTTOM, role: "img", "aria-label": `${panel.title}: ${spoken(panel)}` });
    const { ticks, y } = scale(panel);
    drawAxes(panel, ticks, y, root, bottom);
    const values = panel.series.map((series, k) => {
      const colour = `var(--c${k % 6})`;
      drawSeries(series, colour, y, root);
      const value = make("b", {});
      legend.append(make("li", {}, make("i", { style: `background: ${colour}` }), series.label, value));
      return [series, value];
    });
    drawMarks(root, bottom);
    const line = svg("path", { class: "cursor" }, root);
    const held = data.frames.map((frame, index) => {
      const circle = svg("circle", { class: "held", r: 4, cx: x(binOf(frame.number)), cy: bottom }, root);
      circle.addEventListener("click", () => choose(index));
      return circle;
    });
    root.addEventListener("pointermove", follow);
    root.addEventListener("pointerdown", follow);
    return { box: make("div", {}, title, legend, root), root, line, held, values, bottom };
  };

  const draw = () => {
    const wanted = find("#panels").clientWidth;
    if (!wanted || wanted === width) return;
    width = wanted;
    drawn = panels.map(drawPanel);
    find("#panels").replaceChildren(...drawn.map((panel) => panel.box));
    point();
    markHeld();
  };

  function follow(event) {
    const left = event.currentTarget.getBoundingClientRect().left;
    const time = (event.clientX - left - LEFT) / (width - LEFT - RIGHT) * last;
    cursor.value = seconds.reduce((best, s, bin) => Math.abs(s - time) < Math.abs(seconds[best] - time) ? bin : best, 0);
    point();
  }
  function point() {
    const bin = Number(cursor.value), first = bin * perBin, end = Math.min(first + perBin, frames) - 1;
    find("#cursor-text").textContent = `${seconds[bin].toFixed(2)} s · ${end > first ? `frames ${first}–${end}` : `frame ${first}`}`;
    find("#cursor-marks").textContent = marks.filter((mark) => mark.bin === bin).map((mark) => mark.text).join(" · ");
    for (const { line, values, bottom } of drawn) {
      line.setAttribute("d", `M${x(bin)} ${TOP - 4}V${bottom}`);
      for (const [series, value] of values) {
        value.textContent = series.mean[bin] === null ? "–" : short(series.mean[bin]);
        if (perBin > 1 && series.mean[bin] !== null) value.textContent += ` (${short(series.min[bin])} to ${short(series.max[bin])})`;
      }
    }
  }
  function markHeld() {
    for (const { held } of drawn) held.forEach((circle, index) => circle.classList.toggle("shown", index === shown));
  }

  cursor.max = seconds.length - 1;
  cursor.addEventListener("input", point);
  find("#timeline-about").textContent = perBin > 1
    ? `All ${number(frames, 15)} frames, ${perBin} to a point: the line is their mean, the band reaches from their least to their greatest.`
    : `All ${number(frames, 15)} frames.`;
  new ResizeObserver(draw).observe(find("#panels"));
  views.push((frame) => {
    cursor.value = binOf(frame.number);
    point();
    markHeld();
  });
} else {
  find("#timeline").hidden = true;
}
