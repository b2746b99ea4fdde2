"""Inpaint, outpaint, loop, vamp and compress: from recording to takes."""
