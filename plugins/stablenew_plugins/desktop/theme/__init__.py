"""How everything looks: colours and measures (``tokens``), fonts, icons, and Dear PyGui themes made of them."""
