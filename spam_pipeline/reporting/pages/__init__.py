"""Pages for people: frames of one month as HTML that needs nothing else. `month_page` is what others use.

A page is text that depends on the frames alone, so that equal data is equal bytes. What is counted does not belong here.
"""
