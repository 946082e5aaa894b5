"""Go's templates: what they print and what is wrong with them, as docker 28.2 said it of the same JSON."""

from __future__ import annotations

import pytest

from scenarios.gotemplate import Template, TemplateError
from scenarios.gotemplate.documents import CONTAINER, plain, typed
from scenarios.gotemplate.functions import HEADINGS
from scenarios.gotemplate.values import Listed

DOCUMENT = {
    "Id": "cc4256a7daa5",
    "Name": "/web",
    "RestartCount": 0,
    "State": {"Status": "running", "Running": True, "Paused": False, "Pid": 27645, "Error": ""},
    "Mounts": [],
    "HostConfig": {"Binds": None, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}},
    "Config": {
        "Env": ["A=1", "PATH=/bin"], "Entrypoint": None, "Volumes": None, "Labels": {"maintainer": "<n@x>", "job": "x"},
    },
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]},
        "Networks": {"ov": {"IPAddress": "10.7.0.2", "Aliases": None}, "br": {"IPAddress": "10.8.0.2"}},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("{{.ID}} {{.State.Pid}} {{.State.Running}}", "cc4256a7daa5 27645 true"),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", "10.8.0.2 10.7.0.2 "),
        ("{{range $k,$v := .NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}} {{end}}", "br=10.8.0.2 ov=10.7.0.2 "),
        ("{{range $i, $e := .Config.Env}}{{if $i}}, {{end}}{{$i}}:{{$e}}{{end}}", "0:A=1, 1:PATH=/bin"),
        ("{{range .Mounts}}x{{else}}no mounts{{end}}", "no mounts"),
        ("{{range $i, $e := .Config.Env}}{{if eq $i 1}}{{break}}{{end}}{{$e}};{{end}}", "A=1;"),
        ("{{range .Config.Env}}{{continue}}x{{end}}|{{range 3}}{{.}}{{end}}", "|012"),
        ('{{index .Config.Labels "job"}} {{.NetworkSettings.Ports}} {{.Mounts}}',
         "x map[80/tcp:[{0.0.0.0 8080} {:: 8080}]] []"),
        ("{{.Config.Entrypoint}} {{.HostConfig.Binds}} {{.Config.Volumes}}", "[] [] map[]"),
        ("{{.NetworkSettings.Networks.nosuch.IPAddress}}", "<no value>"),
        ('{{.Config.Labels.no}}|{{index .Config.Labels "no"}}|{{index .Config.Labels "job"}}', "<no value>||x"),
        ("{{.State.Health}} {{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "<nil> none"),
        ("{{with .State.Health}}{{.Status}}{{else with .Name}}{{.}}{{end}}", "/web"),
        ('{{if eq .State.Status "exited"}}down{{else if eq .State.Status "running"}}up{{else}}?{{end}}', "up"),
        ('{{if and .State.Running (not .State.Paused)}}yes{{end}} {{or .State.Error "none"}}', "yes none"),
        ("{{gt .State.Pid 0}} {{lt 1 2}} {{le 2 2}} {{ge 1 2}} {{ne `a` `b`}} {{eq 1 2 3 1}}",
         "true true true false true true"),
        ("{{with $n := .Name}}{{$n}}-{{$.ID}}{{end}}", "/web-cc4256a7daa5"),
        ("{{$n := 0}}{{range .Config.Env}}{{$n = 1}}{{end}}{{$n}}", "1"),
        ('a {{- .Name -}} x {{- " y " -}} z', "a/webx y z"),
        ("{{/* nothing */}}{{json .Config.Labels}}{{json .State.Error}}", '{"job":"x","maintainer":"<n@x>"}""'),
        ("{{json .HostConfig}}", '{"Binds":null,"RestartPolicy":{"Name":"no","MaximumRetryCount":0}}'),
        ('{{.Name | upper | printf "%s!"}} {{lower "ABC"}}', "/WEB! abc"),
        ('{{title "hello wide-world o\'neil x_y"}}', "Hello Wide-World O'Neil X_y"),
        ('{{join .Config.Env ","}} {{len (split .Name "/")}} {{pad "x" 1 2}}| {{truncate .ID 5}}',
         "A=1,PATH=/bin 2  x  | cc425"),
        ("{{slice .ID 0 4}} {{slice .ID 9}} {{slice .Config.Env 0 1}} {{len .Config.Env}}", "cc42 aa5 [A=1] 2"),
        ('{{print 1 2 "a" "b" 3}} {{println 1 "a"}}', "1 2ab3 1 a\n"),
        ('{{printf "%s/%d/%v/%q/%t/%x" .Name .RestartCount true .Name true .Name}}',
         '/web/0/true/"/web"/true/2f776562'),
        ('{{printf "%d" .Name}}|{{printf "%s" .RestartCount}}|{{printf "%s"}}|{{printf "x" 1}}',
         "%!d(string=/web)|%!s(int=0)|%!s(MISSING)|x%!(EXTRA int=1)"),
        ('{{printf "%-6s|%6s|%.2s|%05d|%%" .Name .Name .Name 42}}', "/web  |  /web|/w|00042|%"),
        ("{{1.5}} {{1e3}} {{0x1F}} {{-3}} {{true}} {{`raw`}} {{1e21}} {{0.00001}} {{'a'}}",
         "1.5 1000 31 -3 true raw 1e+21 1e-05 97"),
    ],
)  # fmt: skip
def test_it_prints_what_docker_prints(text: str, printed: str) -> None:
    assert Template(text).execute(typed(DOCUMENT, CONTAINER)) == printed


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{.Id", "template: :1: unclosed action"),
        ("{{foo .Id}}", 'template: :1: function "foo" not defined'),
        ("{{if .Id}}x", "template: :1: unexpected EOF"),
        ("a\n{{end}}", "template: :2: unexpected {{end}}"),
        ("{{$x}}", 'template: :1: undefined variable "$x"'),
        ("{{}}", "template: :1: missing value for command"),
        ("{{if}}x{{end}}", "template: :1: missing value for if"),
        ("{{ .Name }", 'template: :1: unexpected "}" in operand'),
        ('{{ "abc }}', "template: :1: unterminated quoted string"),
        ("{{ (.Name }}", "template: :1: unclosed left paren"),
        ("{{.Na-me}}", "template: :1: bad character U+002D '-'"),
        ("{{.Name | 1}}", "template: :1: non executable command in pipeline stage 2"),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        ("{{$a, $b := .Name}}", "template: :1: too many declarations in command"),
        ("{{.State.Nosuch}}",
         'template: :1:8: executing "" at <.State.Nosuch>: map has no entry for key "Nosuch"'),
        ("{{.State.Health.Status}}",
         'template: :1:8: executing "" at <.State.Health.Status>: map has no entry for key "Health"'),
        ('{{index (index .NetworkSettings.Ports "81/tcp") 0}}',
         'template: :1:2: executing "" at <index (index .NetworkSettings.Ports "81/tcp") 0>: error calling index: '
         "index of untyped nil"),
        ('{{index .Config.Labels 0}}',
         'template: :1:2: executing "" at <index .Config.Labels 0>: error calling index: value has type int; should '
         "be string"),
        ('{{join .Name ","}}',
         'template: :1:7: executing "" at <.Name>: wrong type for value; expected []string; got string'),
        ("{{.Name.Foo}}",
         'template: :1:7: executing "" at <.Name.Foo>: can\'t evaluate field Foo in type interface {}'),
        ("{{.Name .Id}}", 'template: :1:2: executing "" at <.Name>: Name is not a method but has arguments'),
        ("{{len 1 2}}", 'template: :1:2: executing "" at <len>: wrong number of args for len: want 1 got 2'),
        ("{{len 3}}", 'template: :1:2: executing "" at <len 3>: error calling len: len of type int'),
        ("{{range .State.Running}}x{{end}}",
         'template: :1:14: executing "" at <.State.Running>: range can\'t iterate over true'),
        ('x\n {{eq 1 "1"}}',
         'template: :2:3: executing "" at <eq 1 "1">: error calling eq: incompatible types for comparison'),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_gos_words(text: str, error: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(text).execute(plain(DOCUMENT), strict=True)
    assert str(caught.value) == error


def test_a_port_is_no_text_to_dockers_types_and_is_found_in_the_plain_json() -> None:
    template = Template('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}')
    with pytest.raises(TemplateError, match=r"value has type string; should be nat\.Port"):
        template.execute(typed(DOCUMENT, CONTAINER))
    assert template.execute(plain(DOCUMENT), strict=True) == "8080"


def test_a_field_that_no_type_has_is_an_error() -> None:
    with pytest.raises(TemplateError, match=r"can't evaluate field Nosuch in type container\.InspectResponse"):
        Template("{{.Nosuch}}").execute(typed(DOCUMENT, CONTAINER))


def test_a_line_of_a_list_has_methods_and_its_heading_is_left_as_it_is() -> None:
    template = Template('{{.Names | upper}} {{join (split .Image ":") "/"}} {{.Label "a.b"}}')
    row = Listed({"Names": "web", "Image": "nginx:1"}, {"Label": {"a.b": "x"}.__getitem__}, "*row")
    assert template.execute(row) == "WEB nginx/1 x"
    heading = Listed({"Names": "NAMES", "Image": "IMAGE"}, {"Label": lambda name: "b"})
    assert template.execute(heading, functions=HEADINGS) == "NAMES IMAGE b"
    assert Template("{{json .}}").execute(Listed({"b": "<", "a": True})) == '{"a":true,"b":"\\u003c"}'
