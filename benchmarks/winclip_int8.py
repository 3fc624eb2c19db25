"""WinCLIP as a deployed graph, in int8 above all, against WinCLIP with torch in float32."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from harness import Numbers, Options, options, ours, parser, spread, table

VARIANTS = ("torch", "onnxruntime-float32", "onnxruntime-int8", "openvino-bfloat16", "openvino-int8")
WITHOUT = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}
"""What leaves oneDNN, by which torch and OpenVINO multiply, no matrix units. onnxruntime has no such word."""


def section(given: Options) -> str:
    """The section of RESULTS.md."""
    rows = []
    for count in (0,) if given.small else (0, 4):
        with tempfile.TemporaryDirectory() as name:
            folder, shown = Path(name), 4 if given.small else 12
            ours("winclip_graphs_ours", folder, str(count), str(shown), given=given)
            rows += [row for units in (True, False) for row in _rows(folder, count, units, given)]
    head = ("", "matrix units", "variant", "seconds a picture", "of torch's float32", "wanted", "rank correlation of "
            "scores", "of pixels")  # fmt: skip
    return "\n\n".join([
        "## WinCLIP in int8",
        "By `benchmarks/winclip_int8.py`: ViT-B-16-plus-240 with random weights, 240 px, batch 1, by graphs of "
        "`blemish export`; the variants in turn. torch in float32 takes as long as anomalib does, see the section "
        "above. Without matrix units: by `ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI`, which onnxruntime does not read. Rank "
        "correlations are with torch's float32, of generated pictures, half of them with a defect; random weights are "
        "harder than trained ones, since their scores lie close together. What lies between the products of a layer, "
        "norms, activations, sums and attention over 5 to 10 tokens, is in float32 in every graph, and is what keeps "
        "int8 from the fourfold rate of its products.",
        table(head, rows),
        *_measured(given),
    ])  # fmt: skip


def _rows(folder: Path, count: int, units: bool, given: Options) -> list[tuple[str, ...]]:
    variants = [each for each in VARIANTS if units or each in ("torch", "openvino-int8")]
    around, runs = {} if units else WITHOUT, dict[str, list[Numbers]]()
    for number in range(given.rounds):
        for variant in variants:
            more = ["compare"] if number == 0 and variant != "torch" else []
            found = ours("winclip_graph_ours", folder, variant, str(count), *more, given=given, surroundings=around)
            runs.setdefault(variant, []).append(found)
    taken = {variant: [each for run in found for each in run["seconds"]] for variant, found in runs.items()}
    base = statistics.median(taken["torch"])
    return [
        (
            "4 references" if count else "zero-shot",
            "as the machine has" if units else "none",
            variant,
            spread(taken[variant]),
            f"{base / statistics.median(taken[variant]):.1f}x",
            ("7x" if units else "3x") if variant.endswith("int8") else "",
            *(f"{found[0][key]:.4f}" if key in found[0] else "" for key in ("images", "pixels")),
        )
        for variant, found in runs.items()
    ]


def _measured(given: Options) -> list[str]:
    """What int8 costs in image AUROC with a trained tower, where there is one."""
    if not given.weights:
        return []
    rows = []
    for root in given.data:
        found = ours("winclip_int8_data_ours", root, given.weights, str(int(given.small)), given=given)
        rows.append((root.name, *(f"{found[name]:.4f}" for name in ("float32", "onnxruntime", "openvino"))))
    about = f"Image AUROC of WinCLIP by the trained tower `{given.weights.name}`, which reads no words, so that "
    about += "those are random, and 4 good parts; wanted of int8: within .005 of float32."
    return [about, table(("data", "float32", "int8, onnxruntime", "int8, OpenVINO"), rows)]


if __name__ == "__main__":
    print(section(options(parser(__doc__).parse_args())))
