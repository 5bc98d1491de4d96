// The planes: a number a pixel in colours over its scale, a level a pixel in flat ones. One figure each.
{
  const section = find("#planes");
  const RAMP = [[16, 23, 58], [47, 75, 154], [42, 143, 168], [124, 198, 111], [249, 224, 76]];
  const FLAT = [[217, 217, 217], [59, 125, 216], [240, 160, 40], [178, 24, 80]]; // by level
  const BYTES = Array.from({ length: 256 }, (_, value) => value);
  const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
  section.hidden = !data.planes.length;

  // Between the ends of the scale, 0 to 1 and back; logarithmic where it does not begin at 0.
  const placeOf = (value, [low, high]) =>
    low > 0 ? Math.log2(value / low) / Math.log2(high / low) : (value - low) / (high - low);
  const valueAt = (place, [low, high]) => low > 0 ? low * (high / low) ** place : low + place * (high - low);
  const said = (value) => value > 0 && value < 1 && Number.isInteger(1 / value)
    ? `1/${1 / value}` : number(value);
  const ramp = (value, span) => {
    const place = Math.min(Math.max(placeOf(value, span), 0), 1) * (RAMP.length - 1);
    const below = Math.min(Math.floor(place), RAMP.length - 2);
    return RAMP[below].map((level, c) => level + (place - below) * (RAMP[below + 1][c] - level));
  };
  const drawScale = ({ span, unit }, figure) => {
    find(".ramp", figure).style.background = `linear-gradient(to right, ${RAMP.map(css).join(", ")})`;
    const ticks = RAMP.map((_, k) => said(valueAt(k / (RAMP.length - 1), span)));
    if (span[0] > 0) ticks[0] = `≤ ${ticks[0]}`;
    ticks.push(`${span[0] > 0 ? "≥ " : ""}${ticks.pop()} ${unit}`);
    find(".ticks", figure).replaceChildren(...ticks.map((text) => {
      const tick = document.createElement("span");
      tick.textContent = text;
      return tick;
    }));
  };
  const drawShares = ({ levels }, codes, figure) => {
    const counts = new Array(levels.length).fill(0);
    for (const code of codes) counts[code]++;
    find(".legend", figure).replaceChildren(...levels.map((name, level) => {
      const item = document.createElement("li");
      item.innerHTML = "<i></i><span></span><b></b>";
      find("i", item).style.background = css(FLAT[level]);
      find("span", item).textContent = name;
      find("b", item).textContent = percent(counts[level] / codes.length);
      return item;
    }));
  };
  const paint = (canvas, { width, height }, codes, colours) => {
    canvas.width = width;
    canvas.height = height;
    const image = new ImageData(width, height);
    codes.forEach((code, i) => {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = colours[3 * code + c];
      image.data[4 * i + 3] = 255;
    });
    canvas.getContext("2d").putImageData(image, 0, 0);
  };

  for (const plane of data.planes) {
    const { name, about, half, levels, span } = plane;
    const figure = find("template", section).content.firstElementChild.cloneNode(true);
    const canvas = find("canvas", figure);
    find(".pair", section).append(figure);
    canvas.id = `plane-${name}`;
    canvas.setAttribute("aria-label", `${name} in colours; arrow keys move the probe`);
    find("b", figure).textContent = name;
    find(".about", figure).textContent = about;
    for (const part of levels.length ? [".ramp", ".ticks"] : [".legend"]) find(part, figure).remove();
    if (!levels.length) drawScale(plane, figure);
    const amounts = Array.from(half ? HALF : BYTES);
    const shades = levels.length ? FLAT : amounts.map((value) => ramp(value, span));
    const colours = Uint8ClampedArray.from(shades.flat());
    views.push((frame, pixels) => {
      paint(canvas, frame, pixels[name], colours);
      if (levels.length) drawShares(plane, pixels[name], figure);
    });
  }
}
