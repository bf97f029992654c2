"""The dashboard: Streamlit pages that read what benchkit kept, and compute nothing that a report does not say."""
