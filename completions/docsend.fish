# fish completion for docsend; `docsend _complete` computes the candidates.
# `docsend _complete` prints VALUE<Tab>LABEL lines, or `!files EXTENSIONS` where a file is expected.

function __docsend_complete
    set -l words (commandline -opc)[2..] (commandline -ct)
    for line in (docsend _complete $words 2>/dev/null)
        if string match -q '!files*' -- $line
            set -l extensions (string split , -- (string replace -r '^!files ?' '' -- $line))
            if test -z "$extensions"
                __fish_complete_path (commandline -ct)
            else
                for extension in $extensions
                    # List each path once: folders are returned for every suffix.
                    __fish_complete_suffix .$extension
                end | string match -r '.*(?:/|\.(?:'(string join '|' -- $extensions)'))(?:\t.*)?$' | sort -u
            end
        else
            echo $line
        end
    end
end

complete -c docsend -f -a '(__docsend_complete)'
