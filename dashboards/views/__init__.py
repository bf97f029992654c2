"""What each page shows; a page is a thin file that calls `show` of its view."""
