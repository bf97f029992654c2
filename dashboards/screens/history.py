"""The page "History": its view is in dashboards.views.history."""

from dashboards.views.history import show

show()
