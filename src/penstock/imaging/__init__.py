"""Pure picture computation: numpy arrays in, numpy arrays out.

No files, no waiting, no product words. `media` and `providers` call it, usually in a child process, so everything
public is a plain function with arguments that pickle. It uses as many OpenCV threads as its caller allows
(`cv2.setNumThreads`).
"""
