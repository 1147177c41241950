"""Pages and pictures: everything that is HTML, SVG or Markdown, for any stage and any context.

`rendering` fills the templates and escapes what it fills in; nothing else does either. `plotter` draws bars and curves. What a
report counts, and what of it stands on which page, is computed by the contexts, which are not known here.
"""
