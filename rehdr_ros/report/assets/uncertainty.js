// How sure each pixel is, in colours over the logarithm, and what it rests on, in flat ones.
{
  const section = find("#uncertainty");
  const LEAST = -6, MOST = 2; // log2 of stops
  const RAMP = [[16, 23, 58], [47, 75, 154], [42, 143, 168], [124, 198, 111], [249, 224, 76]];
  const FLAT = [[217, 217, 217], [59, 125, 216], [240, 160, 40], [178, 24, 80]]; // by cause
  const css = ([red, green, blue]) => `rgb(${red} ${green} ${blue})`;
  const has = { sigma: data.frames[0].uncertainty !== null, cause: data.frames[0].cause !== null };
  section.hidden = !has.sigma && !has.cause;
  for (const name in has) if (!has[name]) find(`#${name}`).closest("figure").remove();

  const ramp = new Uint8ClampedArray(3 * HALF.length);
  HALF.forEach((stops, code) => {
    const place = Math.min(Math.max((Math.log2(stops) - LEAST) / (MOST - LEAST), 0), 1) * (RAMP.length - 1);
    const below = Math.min(Math.floor(place), RAMP.length - 2);
    for (let c = 0; c < 3; c++) ramp[3 * code + c] = RAMP[below][c] + (place - below) * (RAMP[below + 1][c] - RAMP[below][c]);
  });
  if (has.sigma) find(".ramp", section).style.background = `linear-gradient(to right, ${RAMP.map(css).join(", ")})`;

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
  const shares = (causes) => {
    const counts = new Array(FLAT.length).fill(0);
    for (const cause of causes) counts[cause]++;
    find("#causes").replaceChildren(...data.causes.map((name, cause) => {
      const item = document.createElement("li");
      item.innerHTML = `<i></i><span></span><b></b>`;
      find("i", item).style.background = css(FLAT[cause]);
      find("span", item).textContent = name;
      find("b", item).textContent = percent(counts[cause] / causes.length);
      return item;
    }));
  };

  views.push((frame, halves, bytes, sigmas, causes) => {
    if (sigmas) paint(find("#sigma"), frame, sigmas, ramp);
    if (!causes) return;
    paint(find("#cause"), frame, causes, FLAT.flat());
    shares(causes);
  });
}
