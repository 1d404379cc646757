"""Flow documents: what a flow says, how it is written, what is wrong with it.

Pure: text and values in, values and problems out. Nothing here runs a flow.
"""
