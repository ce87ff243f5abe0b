"""Tools of the documentation: pictures of the command's output, and the links of the site."""
