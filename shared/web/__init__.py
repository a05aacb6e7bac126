"""What both admin sites need: login, headers, templates, stylesheet, charts. Imported by the two web processes only."""
