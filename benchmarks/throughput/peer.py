"""The peer: MONAI's nnU-Net of the same shape on PyTorch, timed in the same manner.

    PYTHON benchmarks/throughput/peer.py FOLDER ...

Needs torch and monai, which Calcohort itself does not; networks.py calls it with `--peer`.
"""

import os
import time

import monai
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import DynUNet
from timing import convolution_flop, every_level, keep, options, time_calls

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def network(filters: list[int]) -> torch.nn.Module:
    """Return the U-Net with the levels of Calcohort's."""
    depth = len(filters) - 1
    strides = [1] + [2] * depth
    return DynUNet(
        3, 1, 2, [3] * len(strides), strides, [2] * depth, filters=filters, norm_name="instance"
    ).to(DEVICE, memory_format=torch.channels_last_3d)


def peak_flop_per_s(dtype: torch.dtype, side: int) -> float:
    """Return what one large product of matrices reaches on the same device: the roof."""
    matrix = torch.ones((side, side), dtype=dtype, device=DEVICE)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        (matrix @ matrix)[:1, :1].cpu()
        best = max(best, 2 * side**3 / (time.perf_counter() - start))
    return best


def measure(given, precision: str) -> None:
    """Time one network on noise."""
    dtype = getattr(torch, precision)
    filters = every_level(given.filters, given.depth)
    model = network(filters)
    optimiser = torch.optim.Adam(model.parameters(), 1e-4)
    scaler = torch.amp.GradScaler(DEVICE, enabled=precision == "float16")
    loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
    image = torch.rand((1, 1, *given.shape))
    label = (image > 0.9).to(torch.uint8)

    def forward(moved):
        with torch.autocast(DEVICE, dtype=dtype, enabled=dtype != torch.float32):
            return model(moved.to(memory_format=torch.channels_last_3d))

    def infer():
        model.eval()
        with torch.inference_mode():
            return torch.softmax(forward(image.to(DEVICE)).float(), 1).cpu().numpy()

    def learn():
        model.train()
        optimiser.zero_grad()
        loss = loss_of(forward(image.to(DEVICE)).float(), label.to(DEVICE))
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        return loss.item()

    calls = {"inference": infer, "training": learn}
    flop = convolution_flop(filters, given.shape)
    peak = peak_flop_per_s(dtype, 16384 if DEVICE == "cuda" else 4096)
    for task in given.tasks:
        line = {
            "library": f"torch {torch.__version__.split('+')[0]}, monai {monai.__version__}",
            "device": torch.cuda.get_device_name()
            if DEVICE == "cuda"
            else f"cpu, {os.cpu_count()} cores",
            "task": task, "filters": " ".join(map(str, given.filters)), "depth": given.depth,
            "shape": "x".join(map(str, given.shape)), "precision": precision, "compiled": False,
        }  # fmt: skip
        passes = 3 if task == "training" else 1
        keep(given.folder, line, time_calls(calls[task], given.calls), passes * flop, peak)


def main() -> None:
    """Run the command."""
    given = options(__doc__.splitlines()[0]).parse_args()
    for precision in given.precision:
        measure(given, precision)


if __name__ == "__main__":
    main()
