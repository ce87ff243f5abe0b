"""What the documentation is made with: pictures of what the command prints, and the site's links."""
