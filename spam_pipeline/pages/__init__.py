"""Pages and pictures: everything that is HTML, SVG or Markdown, for any stage and any context.

`rendering` fills the templates and escapes what is put into them; nothing else does either. `page_builder` has a function for
each page of a report, which takes a record of `contents`; `comparison_page` is the page of `diff --html`. `plotter` draws bars
and curves, `pictures` decides what of a finding or a comparison is drawn. `changes` fills in what a page says of its past.

What a report counts, and which text goes where, is computed by the contexts, which are not known here.
"""
