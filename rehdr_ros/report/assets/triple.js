// Camera, result and truth beside each other, where the truth is known.
{
  const section = find("#triple"), names = ["ldr", "tonemapped", "truth_tonemapped"];
  section.hidden = !names.every((name) => name in data.frames[0].pictures);
  views.push(({ pictures }) => {
    if (section.hidden) return;
    for (const name of names) find(`img.${name}`, section).src = pictures[name];
  });
}
