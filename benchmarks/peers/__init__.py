"""The same users, served by others: each module is as its own documentation would have a user write it.

Nothing is kept between calls: each makes its users anew, as one that reads them from a database would.
"""
