"""The part of this machine's matrix-product rate that encoding WinCLIP's windows reaches."""

from __future__ import annotations

from harness import Options, options, ours, parser, spread, table


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    rows = []
    for precision in ("bfloat16", "float32"):
        found = ours("windows_ours", precision, given=given)
        rate, encoding = found["rate"], found["encoding"]
        wanted = "80 %" if precision == "bfloat16" else ""
        least = f"{min(found['seconds']) * encoding / rate:.3g}"
        rates = (f"{rate:.0f}", f"{encoding:.0f}", f"{encoding / rate:.0%}")
        rows.append((precision, *rates, wanted, spread(found["seconds"]), least))
    head = (
        "",
        "products, GFLOP/s",
        "windows, GFLOP/s",
        "reached",
        "wanted",
        "seconds a picture",
        "at the rate of products",
    )
    return "\n\n".join([
        "## Window encoding and the machine's matrix products",
        f"{found['tokens']} tokens in windows of 2 x 2 and 3 x 3 patches of a ViT-B-16-plus-240 at 240 px. The rate is "
        "that of `torch.nn.functional.linear` on this many tokens, with the four weights of a layer; only the products "
        "that the result needs are counted as work done, so attention, norms, activations and copies are lost time.",
        table(head, rows),
    ])  # fmt: skip


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
