"""Watches the wells of an aluminium casting table and says which one spills."""

import os

# OpenCV reads this when it is loaded: a small file may claim a picture of a gigapixel. 64 megapixels are plenty.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**26))
