# bash completion for docsend. Requires bash 4 and nothing else; `docsend _complete` computes the candidates.
# `docsend _complete` prints VALUE<Tab>LABEL lines, or `!files EXTENSIONS` where a file is expected.

_docsend() {
    local current=${COMP_WORDS[COMP_CWORD]} line value label
    local -a words=("${COMP_WORDS[@]:1:COMP_CWORD-1}") values=() labels=()
    # bash splits `--to=x` at the `=`; join the parts again.
    local joined=() word prefix=
    for word in "${words[@]}" "$current"; do
        if [[ ${#joined[@]} -gt 0 && ( $word == = || ${joined[-1]} == --*= ) ]]; then
            joined[-1]+=$word
        else
            joined+=("$word")
        fi
    done
    [[ ${joined[-1]} == --*=* ]] && prefix=${joined[-1]%%=*}=
    [[ $current == = ]] && current=
    while IFS= read -r line; do
        if [[ $line == '!files '* ]]; then
            _docsend_files "${line#'!files '}" "$current"
            continue
        fi
        value=${line%%$'\t'*} label=
        [[ $line == *$'\t'* ]] && label=${line#*$'\t'}
        values+=("${value#"$prefix"}") labels+=("$label")
    done < <(docsend _complete "${joined[@]}" 2>/dev/null)
    local i
    if [[ ${#values[@]} -eq 1 ]]; then
        COMPREPLY+=("$(printf %q "${values[0]}")")
        return
    fi
    for i in "${!values[@]}"; do
        # Several candidates: show them with their labels, which bash does not insert.
        COMPREPLY+=("${values[i]}${labels[i]:+  (${labels[i]})}")
    done
}

_docsend_files() {
    local IFS=$'\n' extension file
    compopt -o filenames 2>/dev/null
    COMPREPLY+=($(compgen -d -- "$2"))
    if [[ -z $1 ]]; then
        COMPREPLY+=($(compgen -f -- "$2"))
        return
    fi
    for file in $(compgen -f -- "$2"); do
        extension=${file##*.}
        [[ -f $file && ",$1," == *",${extension,,},"* ]] && COMPREPLY+=("$file")
    done
}

complete -o nosort -F _docsend docsend 2>/dev/null || complete -F _docsend docsend
