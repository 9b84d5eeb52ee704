"""In the place of NVML's package: a machine with one card."""

import sys

from fake_nvml import Device, fake_nvml

sys.modules[__name__] = fake_nvml(Device("GPU-pretended"))
