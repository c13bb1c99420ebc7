"""What runs in the container on RunPod: a job's input in, a picture or a video out.

    handler.py -> work      takes a job: checks, draws, delivers; cancels
                  inputs    what a caller may ask, checked before anything else
                  pictures  the caller's pictures, from base64 or an https address (`downloads`)
                  diffusion the models; the one module that knows torch and diffusers
                  watch     how far it is, and whether to stop
                  results   base64, or an address in a bucket (`bucket`)

Only `diffusion`, `downloads` and `bucket` import what the image alone has; everything else runs anywhere.
"""
