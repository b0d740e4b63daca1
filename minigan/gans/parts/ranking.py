"""Images in the order that a judge puts them in: what it goes by can be seen at the ends."""


def ranked(show, judge, made, real):
    """Show made images, then real ones, Tensors (N, C, H, W), from what the judge takes for least real to
    what it takes for most. judge: images -> (N, 1), higher for what looks real."""
    for name, x in (("Samples", made), ("Held-out images", real)):
        order = judge(x).numpy()[:, 0].argsort()
        show(f"{name}, from what D takes for least real to what it takes for most.", x.numpy()[order])
