"""Pages for people: a month and its incidents as HTML that needs nothing else.

`month_page`, `incident_page`, `index_page` and `preview` are what is shown; `changes` is what a page says of its past.

A page is text that depends on the frames alone, so that equal data is equal bytes. What is counted does not belong here.
"""
