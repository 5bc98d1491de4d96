// Radiance on a canvas: 255 * sRGB(radiance * 2^stops), and the same of the linearised frame of the camera.
{
  const stops = find("#stops");
  const canvases = [find("#hdr"), find("#ldr"), find("#truth")];
  let frame, pixels, probe = null;
  if (!("ldr" in data.frames[0].pictures)) canvases[1].closest("figure").remove();
  if (!("truth" in data.frames[0].pictures)) canvases[2].closest("figure").remove();
  stops.value = data.opening.stops;
  const pointed = [...document.querySelectorAll(".picture canvas:has(+ .probe)")]; // those of the planes, too

  const linear = (byte) => frame.linear[1] * (byte / 255) ** frame.linear[0];

  const srgb = (value) => value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
  const developed = (length, radiance) => { // for each code of a pixel its level on the screen
    const levels = new Uint8ClampedArray(length), gain = 2 ** stops.value;
    for (let code = 0; code < length; code++) levels[code] = 255 * srgb(Math.min(radiance(code) * gain, 1));
    return levels;
  };

  const draw = () => {
    const value = Number(stops.value);
    const said = `${value > 0 ? "+" : value < 0 ? "−" : ""}${Math.abs(value).toFixed(1)} stops`;
    find("#stops-text").textContent = said;
    stops.setAttribute("aria-valuetext", said);
    if (!frame) return;
    const { hdr, ldr, truth } = pixels, radiance = developed(HALF.length, (bits) => HALF[bits]), level = developed(256, linear);
    paint(canvases[0], frame, (i, c) => radiance[hdr[3 * i + c]]);
    if (truth) paint(canvases[2], frame, (i, c) => radiance[truth[3 * i + c]]);
    if (ldr) paint(canvases[1], frame, (i, c) => level[ldr[4 * i + c]]);
  };

  const read = () => {
    if (!probe) return;
    const [x, y] = probe, at = y * frame.width + x;
    const colour = (codes) => [0, 1, 2].map((c) => HALF[codes[3 * at + c]]);
    const rgb = colour(pixels.hdr);
    const light = 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2];
    const above = light > 0 ? `${Math.abs(Math.log2(light)).toFixed(1)} stops ${light < 1 ? "below" : "above"} 1.0` : "black";
    const place = [x * frame.size[0] / frame.width, y * frame.size[1] / frame.height].map(Math.floor);
    let text = `x ${place[0]}, y ${place[1]} · radiance R ${number(rgb[0])} G ${number(rgb[1])} B ${number(rgb[2])} · ${above}`;
    if (pixels.ldr) text += ` · camera ${[...pixels.ldr.slice(4 * at, 4 * at + 3)].join(" ")}`;
    if (pixels.truth) text += ` · truth ${colour(pixels.truth).map((value) => number(value)).join(" ")}`;
    for (const { name, unit, half, levels } of data.planes) {
      const code = pixels[name][at];
      text += ` · ${name} ${levels[code] ?? `${number(half ? HALF[code] : code, 2)} ${unit}`.trim()}`;
    }
    for (const place of document.querySelectorAll(".probe-text")) place.textContent = text;
    for (const mark of pointed.map((canvas) => canvas.nextElementSibling)) {
      mark.style.display = "block";
      mark.style.left = `${100 * (x + 0.5) / frame.width}%`;
      mark.style.top = `${100 * (y + 0.5) / frame.height}%`;
    }
  };
  const point = (x, y) => {
    const within = (value, size) => Math.min(Math.max(Math.floor(value), 0), size - 1);
    probe = [within(x, frame.width), within(y, frame.height)];
    read();
  };
  const follow = (event) => {
    if (!frame) return;
    const box = event.target.getBoundingClientRect();
    point((event.clientX - box.left) / box.width * frame.width, (event.clientY - box.top) / box.height * frame.height);
  };

  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const move = (event) => {
    if (!frame || !(event.key in steps)) return;
    const [x, y] = probe ?? [frame.width >> 1, frame.height >> 1], [dx, dy] = steps[event.key];
    const size = event.shiftKey ? 10 : 1;
    point(x + size * dx, y + size * dy);
    event.preventDefault();
  };
  for (const canvas of pointed) {
    canvas.addEventListener("keydown", move);
    canvas.addEventListener("pointermove", follow);
    canvas.addEventListener("pointerdown", follow);
  }
  stops.addEventListener("input", draw);

  views.push((...chosen) => {
    [frame, pixels] = chosen;
    draw();
    if (probe) point(...probe); // frames may differ in size
  });
}
