// Before and after, split at a border that mouse, touch and keyboard move.
{
  const picture = find("#compare .picture");
  const handle = find(".handle", picture);
  const hasLdr = "ldr" in data.frames[0].pictures;
  let split = 50;

  const move = (percentage) => {
    split = Math.min(Math.max(percentage, 0), 100);
    picture.style.setProperty("--split", `${split}%`);
    handle.setAttribute("aria-valuenow", Math.round(split));
    handle.setAttribute("aria-valuetext", `${Math.round(split)} % camera`);
  };
  const follow = (event) => {
    const box = picture.getBoundingClientRect();
    move(100 * (event.clientX - box.left) / box.width);
  };
  const steps = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10, Home: -100, End: 100 };

  if (hasLdr) {
    picture.addEventListener("pointerdown", (event) => {
      picture.setPointerCapture(event.pointerId);
      follow(event);
      handle.focus({ preventScroll: true });
      event.preventDefault(); // or the focus moves on to the picture
    });
    picture.addEventListener("pointermove", (event) => picture.hasPointerCapture(event.pointerId) && follow(event));
    handle.addEventListener("keydown", (event) => {
      if (!(event.key in steps)) return;
      move(split + steps[event.key]);
      event.preventDefault();
    });
    move(50);
  } else {
    find("#compare-title").textContent = "The result";
    for (const part of document.querySelectorAll("#compare .before, #compare .handle, #compare .left, #compare .quiet")) {
      part.remove();
    }
    picture.style.cursor = "auto";
  }

  views.push(({ pictures }) => {
    find(".after", picture).src = pictures.tonemapped;
    if (hasLdr) find(".before", picture).src = pictures.ldr;
  });
}
