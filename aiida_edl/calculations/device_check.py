"""What the shell does before an executable that says nothing of its device, such as ``lmp``: hide GPUs, or find one."""

from __future__ import annotations

DEVICE_MISSING_FILE = 'device_missing.txt'
"""File with one sentence that a job leaves which needs a GPU and finds none."""
HIDE_GPUS = "export CUDA_VISIBLE_DEVICES=''"
"""Lines of a job whose device is ``cpu``."""
FIND_GPU = f"""\
missing_gpu=''
case "${{CUDA_VISIBLE_DEVICES-not set}}" in
  '' | -1 | NoDevFiles)
    missing_gpu="CUDA_VISIBLE_DEVICES is '$CUDA_VISIBLE_DEVICES'" ;;
  *)
    if command -v nvidia-smi > /dev/null 2>&1; then
      [ -n "$(nvidia-smi -L 2> /dev/null | grep '^GPU ')" ] || missing_gpu='nvidia-smi lists no GPU'
    elif [ -z "$(ls /dev/nvidia[0-9]* /dev/kfd 2> /dev/null)" ]; then
      missing_gpu='there is neither nvidia-smi nor /dev/nvidia0 nor /dev/kfd'
    fi ;;
esac
if [ -n "$missing_gpu" ]; then
  echo "device is 'cuda', but $missing_gpu; use a node with a GPU, or device 'cpu'" > {DEVICE_MISSING_FILE}
  exit 1
fi"""
"""Lines of a job whose device is ``cuda``: they end it unless the node shows a GPU of NVIDIA or AMD to this job.

``-1`` and ``NoDevFiles`` are what Slurm sets for a job that asked for no GPU.
"""


def device_lines(device: str) -> str:
    """Return the lines of bash that come before the executable.

    :param device: ``'cpu'`` or ``'cuda'``.
    """
    return FIND_GPU if device == 'cuda' else HIDE_GPUS
