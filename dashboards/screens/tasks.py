"""The page "Tasks": its view is in dashboards.views.tasks."""

from dashboards.views.tasks import show

show()
