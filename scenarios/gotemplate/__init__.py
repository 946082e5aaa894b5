"""Go's text/template as far as it is typed behind docker's --format: `Template(text).execute(value)`.

Actions are those of the language (if, range, with, variables, pipelines, comparisons, printf) with the docker command's
own functions (json, join, split, title, lower, upper, pad, truncate). Not there: define, template, block; call, html,
js, urlquery. Texts of errors are Go's, with its line and column.

`values` says what a document may hold; `documents` makes such values of JSON.
"""

from scenarios.gotemplate.errors import TemplateError
from scenarios.gotemplate.execution import Template

__all__ = ["Template", "TemplateError"]
