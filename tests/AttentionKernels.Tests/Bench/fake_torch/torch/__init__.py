"""A PyTorch that computes nothing, for tests of torch_peer.py: whatever is asked of a tensor gives a tensor, every number is 1 and every difference 0.

FAKE_TORCH_FAULT says what is wrong with it: nocuda, noflex, nomemory, hang, die. With FAKE_TORCH_PID it writes its process id there before it hangs.
"""

import os
import time

FAULT = os.environ.get("FAKE_TORCH_FAULT", "")
EVENT_MILLISECONDS = 6.0

__version__ = "2.99.0"
float16, bfloat16, float32, uint8 = "float16", "bfloat16", "float32", "uint8"


class Tensor:
    """Takes every operation and index."""

    def __init__(self, value):
        self.value = value

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **options: self

    @property
    def T(self):
        return self

    def item(self):
        return self.value

    def tolist(self):
        return [0]

    def __getitem__(self, index):
        return self

    def __setitem__(self, index, value):
        pass

    def __sub__(self, other):
        return Tensor(0.0)

    def same(self, other):
        return self

    __add__ = __mul__ = __matmul__ = __gt__ = same


def tensor_of(*args, **options):
    return Tensor(1.0)


randn = zeros = empty_like = tensor = arange = softmax = randint = tensor_of


def manual_seed(seed):
    pass


def compile(function, dynamic=None):
    return function


class Event:
    def __init__(self, enable_timing=False):
        assert enable_timing

    def record(self):
        pass

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return EVENT_MILLISECONDS


class cuda:
    Event = Event

    @staticmethod
    def is_available():
        return FAULT != "nocuda"

    @staticmethod
    def set_device(device):
        assert device == 0

    @staticmethod
    def get_device_name(device):
        return "fake device"

    @staticmethod
    def synchronize():
        pass

    @staticmethod
    def empty_cache():
        pass


class version:
    cuda = "12.9"


class backends:
    class cudnn:
        @staticmethod
        def version():
            return 91000


class OutOfMemoryError(RuntimeError):
    pass


def attend(masked):
    """What scaled_dot_product_attention does, by the fault."""
    if masked and FAULT == "nomemory":
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 4.00 GiB.")
    if masked and FAULT == "die":
        os._exit(3)
    if masked and FAULT == "hang":
        if os.environ.get("FAKE_TORCH_PID"):
            with open(os.environ["FAKE_TORCH_PID"] + ".new", "w") as file:
                file.write(str(os.getpid()))
            os.rename(os.environ["FAKE_TORCH_PID"] + ".new", os.environ["FAKE_TORCH_PID"])
        time.sleep(3600)
    return Tensor(1.0)
